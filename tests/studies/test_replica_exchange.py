"""Replica exchange gives the frames of one temperature, after the pieces of a run are joined."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mlobs_client.cli.ir import command as ir
from mlobs_client.cli.vdos import command as vdos
from mlobs_client.errors import ConfigError, MlobsError, RecordError
from mlobs_client.studies.replica_exchange import open_run
from mlobs_client.studies.run_set import RunSet
from mlobs_client.units import KELVIN

LADDER = (300.0, 330.0, 360.0)
INPUT = """<simulation><output prefix='simulation'/><system_template>
<labels> [INDEX, TEMP] </labels>
{instances}<template><system prefix='rINDEX'>
<initialize nbeads='1'><file mode='xyz'> init.xyz </file></initialize>
<motion mode='dynamics'><dynamics mode='nvt'/></motion>
<ensemble><temperature units='kelvin'> TEMP </temperature></ensemble></system></template>
</system_template><smotion mode='remd'><remd><stride> 5 </stride></remd></smotion></simulation>
"""
# step -> ensemble of each replica, as i-PI writes remd_idx: from the next step on
EXCHANGES = {1: (2, 0, 1), 13: (2, 1, 0), 30: (0, 1, 2)}
HEAD = "1\n# CELL(abcABC): 20 20 20 90 90 90 Step: {} Bead: 0 {}{{atomic_unit}}\n"


def ensembles(step: int, exchanges: dict[int, tuple[int, ...]]) -> tuple[int, ...]:
    held = (0, 1, 2)
    for done, order in exchanges.items():
        held = order if step > done else held
    return held


def append(
    folder: Path, steps: range, exchanges: dict[int, tuple[int, ...]], column: bool = True
) -> None:
    """Frames whose x is the temperature of their ensemble, in K, and whose y is their replica."""
    for replica in range(3):
        files = dict.fromkeys(("out", "vel.xyz", "pos_0.xyz", "dipole_0"), "")
        header = "# column 1 --> step : s\n# column 2 --> time{femtosecond} : t\n"
        header += "# column 3 --> ensemble_temperature{kelvin} : T\n" if column else ""
        path = folder / f"r{replica}_simulation.out"
        files["out"] = "" if path.exists() else header
        for step in steps:
            kelvin = LADDER[ensembles(step, exchanges)[replica]]
            files["out"] += f"{step} {step:.8e} {f'{kelvin:.8e}' if column else ''}\n"
            row = f"{kelvin} {replica} {np.sin(step) + 0.01 * step}\n"
            files["vel.xyz"] += HEAD.format(step, "v_centroid") + f"O {row}"
            files["pos_0.xyz"] += HEAD.format(step, "positions") + f"O {row}"
            files["dipole_0"] += f" #EXTRAS(dipole)# Step:  {step:10d}  Bead: 0\n{row}"
        for name, text in files.items():
            with (folder / f"r{replica}_simulation.{name}").open("a") as file:
                file.write(text)


def write_input(folder: Path) -> Path:
    instances = "".join(f"<instance> [{i}, {t}] </instance>\n" for i, t in enumerate(LADDER))
    (folder / "input.xml").write_text(INPUT.format(instances=instances))
    return folder / "simulation"


def write_exchanges(folder: Path) -> None:
    lines = (f"{step:10d} {' '.join(map(str, order))}\n" for step, order in EXCHANGES.items())
    (folder / "simulation.remd_idx").write_text("".join(lines))


@pytest.mark.parametrize("kelvin", LADDER)
def test_a_continued_run_is_joined_before_it_is_sorted(tmp_path: Path, kelvin: float) -> None:
    dead = {1: (2, 0, 1), 13: (2, 1, 0), 18: (0, 2, 1)}  # killed at 25, goes on from 15
    append(tmp_path, range(26), dead)
    append(tmp_path, range(16, 41), EXCHANGES)
    run = open_run(write_input(tmp_path), kelvin)
    for values in (run.velocities().values, run.positions().values[:, 0], run.dipoles().mean):
        assert values.shape[0] == 41
        assert set(values.reshape(41, 3)[:, 0]) == {kelvin}
    np.testing.assert_allclose(run.properties["ensemble_temperature"] / KELVIN, kelvin, rtol=1e-4)
    assert run.cells().shape == (41, 3, 3)
    # steps 16 to 25 are those of the second history
    owners = [ensembles(step, EXCHANGES).index(LADDER.index(kelvin)) for step in range(41)]
    assert run.velocities().values[:, 0, 1].tolist() == owners


def test_stretches_end_where_another_replica_takes_the_temperature(tmp_path: Path) -> None:
    append(tmp_path, range(41), EXCHANGES)
    run = open_run(write_input(tmp_path), 300.0)
    found = [(one.start, one.stop) for one in run.stretches(np.arange(41))]
    assert found == [(0, 2), (2, 14), (14, 31), (31, 41)]


def test_without_the_column_the_file_of_exchanges_tells_it_where_no_step_was_done_twice(
    tmp_path: Path,
) -> None:
    append(tmp_path, range(41), EXCHANGES, column=False)
    prefix = write_input(tmp_path)
    write_exchanges(tmp_path)
    assert set(open_run(prefix, 330.0).velocities().values[:, 0, 0]) == {330.0}
    append(tmp_path, range(31, 45), EXCHANGES, column=False)
    with pytest.raises(RecordError, match=r"was continued, or simulation\.remd_idx is missing"):
        open_run(prefix, 330.0).velocities()


def test_what_is_no_single_temperature_is_refused_with_those_there_are(tmp_path: Path) -> None:
    append(tmp_path, range(41), EXCHANGES)
    prefix = write_input(tmp_path)
    for kelvin in (None, 310.0):
        with pytest.raises(ConfigError, match=r"at 300, 330, 360 K.* one of these"):
            open_run(prefix, kelvin)
    with pytest.raises(ConfigError, match=r"is a replica of .*; give .*/simulation with --temp"):
        open_run(prefix.with_name("r0_simulation"))
    (tmp_path / "input.xml").unlink()  # the column tells it, too
    with pytest.raises(ConfigError, match="is a replica of replica exchange"):
        open_run(prefix.with_name("r1_simulation"))
    assert set(open_run(prefix, 360.0).dipoles().mean[:, 0]) == {360.0}


def test_several_systems_without_exchange_are_given_one_by_one(tmp_path: Path) -> None:
    append(tmp_path, range(10), {})
    prefix = tmp_path / "simulation"
    with pytest.raises(ConfigError, match="several systems, r0_simulation, r1_simulation, r2_"):
        open_run(prefix)
    assert set(open_run(prefix.with_name("r1_simulation")).velocities().values[:, 0, 0]) == {330.0}


def test_the_commands_sort_and_say_what_they_leave_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(tmp_path, range(41), EXCHANGES)
    prefix = write_input(tmp_path)
    caplog.set_level(logging.ERROR)
    common = [str(prefix), "--temperature", "300", "-o", str(tmp_path / "x"), "--blocks", "2"]
    for command in (vdos, ir):
        done = CliRunner().invoke(command, [*common, "--resolution", "5"])
        assert isinstance(done.exception, MlobsError)
        said = r"too few for a spectrum, .* more in each run, or stretch between exchanges$"
        assert re.search(said, str(done.exception))
        assert "4 stretches between exchanges, of 2 to 17 samples; those short" in done.output
    samples = RunSet((prefix,), 0.0, 300.0).dipoles()
    assert samples.values[0].shape == (41, 3)
    with pytest.raises(ConfigError, match="give --branches keep"):
        samples.aligned()
