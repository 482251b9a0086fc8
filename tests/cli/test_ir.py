"""``mlobs ir`` on a finished run of the real i-PI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from csv_files import column

from mlobs_client.cli.ir import command as ir
from mlobs_client.cli.observe import command as observe
from mlobs_client.errors import ConfigError

SHORT = ["--resolution", "600", "--blocks", "2"]


def test_ir_from_extras_and_from_observed_dipoles_agree(finished_run: Path, tmp_path: Path) -> None:
    base = [str(finished_run / "simulation"), "--temperature", "300", *SHORT]
    CliRunner().invoke(ir, [*base, "-o", str(tmp_path / "ir")], catch_exceptions=False)
    record = str(tmp_path / "dipoles.h5")
    arguments = [str(finished_run / "client.toml"), str(finished_run / "simulation.pos")]
    done = CliRunner().invoke(observe, [*arguments, "-o", record], catch_exceptions=False)
    assert "dipole of 402 frames" in done.output
    more = ["--observed", record, "-o", str(tmp_path / "observed")]
    CliRunner().invoke(ir, [*base, *more], catch_exceptions=False)
    first, second = (column(tmp_path / f"{n}.csv", "value") for n in ("ir", "observed"))
    # to the digits of the positions that i-PI prints
    np.testing.assert_allclose(first, second, atol=1e-3 * first.max())


def test_ir_needs_one_record_for_each_run(finished_run: Path) -> None:
    prefix = str(finished_run / "simulation")
    arguments = [prefix, prefix, "--observed", "a.h5", "--temperature", "300", "-o", "ir"]
    done = CliRunner().invoke(ir, arguments)
    assert done.exit_code == 2
    assert "give --observed once for each of the 2 PREFIX, not 1 times" in done.output


@pytest.mark.parametrize("correction", ["standard", "schofield", "none"])
def test_corrections_of_classical_dynamics_are_refused_for_beads(
    finished_run: Path, tmp_path: Path, correction: str
) -> None:
    arguments = [str(finished_run / "simulation"), "--temperature", "300", *SHORT]
    arguments += ["--correction", correction, "-o", str(tmp_path / "ir")]
    with pytest.raises(ConfigError, match=f"'{correction}' for 2 beads: .* harmonic is exact"):
        CliRunner().invoke(ir, arguments, catch_exceptions=False)
