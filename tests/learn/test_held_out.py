"""A committee says what its spread is worth and what it costs, or why it does not."""

from __future__ import annotations

from mlobs_client.learn.held_out import examine
from mlobs_client.learn.training import load_member


def test_one_network_has_a_cost_but_no_alpha(trained) -> None:
    done = trained("potential")
    found = examine(done.data_set, {str(path): load_member(path) for path in done.paths})
    assert found.n_atoms == 6
    assert found.milliseconds > 0.0
    assert found.calibrations.keys() == {"energy", "forces"}
    for reason in found.calibrations.values():
        assert "members" in str(reason)
        assert isinstance(reason, str)
    assert found.as_json()["calibration"]["forces"].keys() == {"no_alpha"}
