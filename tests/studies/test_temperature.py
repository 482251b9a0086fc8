"""A temperature that the run cannot have had is refused, an unknown one is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from written_runs import write_run

from mlobs_client.cli.ir import command as ir
from mlobs_client.cli.reweight import command as reweight
from mlobs_client.errors import ConfigError, MlobsError
from mlobs_client.studies.run_set import RunSet
from mlobs_client.studies.runs import Run
from mlobs_client.studies.temperature import compare_temperature

INPUT = """<simulation><output prefix='simulation'/><system>
<initialize nbeads='1'><file mode='xyz'> init.xyz </file></initialize>
<motion mode='dynamics'><dynamics mode='{mode}'/></motion>
<ensemble><temperature units='kelvin'> {kelvin} </temperature></ensemble></system></simulation>
"""


def write(folder: Path, mode: str | None = None, kelvin: float = 250.0) -> Path:
    """White noise of a dipole in a cell of 20 bohr; with the input of the run if it has a mode."""
    prefix = folder / "simulation"
    write_run(prefix, np.random.default_rng(2).normal(size=(400, 3)), 20.0)
    if mode is not None:
        (folder / "input.xml").write_text(INPUT.format(mode=mode, kelvin=kelvin))
    return prefix


def write_kinetic(prefix: Path, mean: float) -> None:
    """A column of kinetic temperatures, the first half of them twice as hot."""
    rng = np.random.default_rng(5)
    hot = np.repeat([2.0 * mean, mean], 200) + rng.normal(0.0, 30.0, size=400)
    header, rows = "# column 1 --> step : s\n# column 2 --> temperature{kelvin} : T\n", ""
    for t, value in enumerate(hot):
        rows += f"{4 * t} {value:.8e}\n"
    prefix.with_name("simulation.out").write_text(header + rows)


@pytest.mark.parametrize("command", ["ir", "dielectric", "reweight"])
def test_another_temperature_than_that_of_the_thermostat_is_refused_with_the_right_one(
    tmp_path: Path, command: str
) -> None:
    prefix = write(tmp_path, "nvt")

    def call(kelvin: float) -> str:
        """What stops it: the temperature, or the analysis of a run that is too short."""
        arguments = [str(prefix), "--temperature", f"{kelvin:g}", "-o", str(tmp_path / "out")]
        try:
            if command == "ir":
                CliRunner().invoke(ir, [*arguments, "--resolution", "5"], catch_exceptions=False)
            elif command == "dielectric":
                RunSet((prefix,), 0.0, kelvin).dipoles()
            else:
                more = ["--field", "0", "--to", "0.1", "--least", "1e9"]
                CliRunner().invoke(reweight, [*arguments, *more], catch_exceptions=False)
        except MlobsError as error:
            return str(error)
        return ""

    refused = call(300.0)
    assert "was run at 250 K, as in input.xml, not at 300 K" in refused
    (given,) = re.findall(r"--temperature (\d+)", refused)
    assert "was run at" not in call(float(given))


def test_without_a_thermostat_the_kinetic_temperature_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = write(tmp_path, "nve")  # it began at 250 K
    write_kinetic(prefix, 140.0)
    run, half = Run(prefix), 4 * 200
    compare_temperature(run, 140.0, half)
    assert not caplog.messages
    compare_temperature(run, 160.0, half)
    assert re.search(r"mean kinetic temperature is 1[34]\d.* ± .* K, not 160 K", caplog.text)
    with pytest.raises(ConfigError, match=r"kinetic temperature of 1[34]\d.*, not of 300 K"):
        compare_temperature(run, 300.0, half)


def test_a_thermostat_that_has_not_reached_its_temperature_is_said_and_skipping_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = write(tmp_path, "nvt", 250.0)
    write_kinetic(prefix, 250.0)
    compare_temperature(Run(prefix), 250.0, 4 * 200)
    assert not caplog.messages
    table = prefix.with_name("simulation.out")
    rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join(rows[:202]))  # header, and the hot half
    compare_temperature(Run(prefix), 250.0)
    assert re.search(r"kinetic temperature is (49|50)\d.* not 250 K; .* --skip", caplog.text)


def test_an_unknown_temperature_is_said_with_what_would_tell_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = write(tmp_path)
    compare_temperature(Run(prefix), 300.0)
    assert "no file gives the temperature of the run, so 300 K is not checked" in caplog.text
    caplog.clear()
    (tmp_path / "input.xml").write_text(INPUT.format(mode="nvt", kelvin=300.0))
    compare_temperature(Run(prefix), 300.0)
    assert not caplog.messages
