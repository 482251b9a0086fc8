"""The volume is that of what is analysed, from any trajectory, of one run or several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from written_runs import write_run

from mlobs_client.cli import spectrum
from mlobs_client.cli.ir import command as ir
from mlobs_client.results.curve import Curve
from mlobs_client.studies.run_set import RunSet

N_SAMPLES = 1200
HEAD = "1\n# CELL(abcABC): {0:.5f} {0:.5f} {0:.5f} 90 90 90 Step: {1} Bead: 0 {2}{{atomic_unit}}\n"


def write(prefix: Path, lengths: np.ndarray, quantity: str = "positions") -> Path:
    """Noise of a dipole, and the cell of each tenth sample, every 4 steps of 0.5 fs."""
    write_run(prefix, np.random.default_rng(3).normal(size=(N_SAMPLES, 3)), 1.0)
    prefix.with_name("simulation.pos_0.xyz").unlink()
    file = {"positions": "pos_0", "v_centroid": "vel"}[quantity]
    frames = [HEAD.format(a, 40 * t, quantity) + "O 0 0 0\n" for t, a in enumerate(lengths)]
    prefix.with_name(f"simulation.{file}.xyz").write_text("".join(frames))
    return prefix


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> list[Curve]:
    """Spectra that the command would draw, which takes longer than all the rest."""
    kept: list[Curve] = []

    def keep(result: Curve, *others: object) -> Curve:
        kept.append(result)
        return result

    monkeypatch.setattr(spectrum, "write_spectrum", keep)
    return kept


def shrinking(rng: np.random.Generator) -> np.ndarray:
    """14 bohr, and from half of the run on 12."""
    return np.repeat([14.0, 12.0], N_SAMPLES // 20) + rng.normal(0.0, 0.01, N_SAMPLES // 10)


def test_skipping_reaches_the_volume_of_an_absorption(
    tmp_path: Path, finished: list[Curve]
) -> None:
    for name, lengths in (
        ("changing", shrinking(np.random.default_rng(0))),
        ("fixed", np.full(N_SAMPLES // 10, 12.0)),
    ):
        arguments = [str(write(tmp_path / name / "simulation", lengths)), "--temperature", "300"]
        more = ["--skip", "1.2", "--resolution", "200", "--blocks", "3", "-o", "ir"]  # half
        done = CliRunner().invoke(ir, [*arguments, *more], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    changing, fixed = (one.mean[1:] for one in finished)
    # both have the same dipoles, so n alpha differs by the volume alone: 23 % if all of it counts
    np.testing.assert_allclose(changing, fixed, rtol=2e-3)  # 3 x 0.01 / 12 / sqrt(60)


@pytest.mark.parametrize("quantity", ["positions", "v_centroid"])
def test_skipping_reaches_the_volume_of_a_dielectric_function_from_any_trajectory(
    tmp_path: Path, quantity: str
) -> None:
    prefix = write(tmp_path / "simulation", shrinking(np.random.default_rng(0)), quantity)
    assert RunSet((prefix,), 1.2).dipoles().volume == pytest.approx(12.0**3, rel=2e-3)
    assert RunSet((prefix,)).dipoles().volume == pytest.approx((12.0**3 + 14.0**3) / 2, rel=2e-3)
