"""Formal charges of a client file, with a toy and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from client_files import FORMAL, assembled

from mlobs_client.client.total_energy import predict
from mlobs_client.errors import ConfigError


def test_formal_charges_need_no_network(tmp_path: Path, caplog) -> None:
    rule = '[observables]\nextras = ["born_charges"]\nsum_rule = "restore"\n'
    field = '[field]\nvector = [0, 0, 0.1]\nunit = "atomic_unit"\n'
    without, within = (assembled(tmp_path, FORMAL + more + rule, box=None) for more in ("", field))
    (free,), (driven,) = (
        predict([one.structure], one.evaluators, one.terms, frozenset({"dipole", "born_charges"}))
        for one in (without, within)
    )
    exact = np.array([-2, 1, 1]) @ without.structure.positions
    assert free.observables["dipole"] == pytest.approx(exact)
    forces = np.array([[0, 0, -0.2], [0, 0, 0.1], [0, 0, 0.1]])  # N E
    assert driven.forces - free.forces == pytest.approx(forces)
    assert not caplog.text
    assembled(tmp_path, FORMAL.replace("O = -2", "O = -1"), box=None)
    assert "add up to +1 e" in caplog.text


@pytest.mark.parametrize("numbers", ["", 'oxidation_numbers = "none"\n'])
def test_a_dipole_of_nothing_is_refused_with_both_remedies(tmp_path: Path, numbers: str) -> None:
    text = FORMAL.replace("oxidation_numbers = { O = -2, H = 1 }\n", numbers)
    with pytest.raises(
        ConfigError, match=r"name of a toy, or oxidation_numbers.*name = \"qtip4pf\""
    ):
        assembled(tmp_path, text, box=None)
    assembled(tmp_path, text + 'name = "qtip4pf"\n', box=None)
