"""``mlobs reweight`` on the files of runs of harmonic charges."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Invoked
from written_runs import write_run

from mlobs_client.cli.reweight import command
from mlobs_client.errors import RecordError
from mlobs_client.results import Estimate, Result
from mlobs_client.units import ANGSTROM, KELVIN, MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

LENGTH = 10.0 * ANGSTROM
RESPONSE = 150.0
"""d<mu>/dE along the field, bohr^3."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed, field in enumerate((0.0, 0.1)):
        rng = np.random.default_rng(seed)
        dipoles = rng.normal(scale=np.sqrt(RESPONSE * 300.0 * KELVIN), size=(3000, 3))
        dipoles[:, 1] += RESPONSE * field * VOLT_PER_ANGSTROM
        without = np.sum(dipoles**2, axis=1) / (2.0 * RESPONSE)
        potential = without - dipoles[:, 1] * field * VOLT_PER_ANGSTROM
        write_run(folder / f"{field}" / "simulation", dipoles, LENGTH, potential)
    return folder


def exact(field: float) -> float:
    return RESPONSE * field * VOLT_PER_ANGSTROM / LENGTH**3 / MICROCOULOMB_PER_CM2


def reweighted(output: Path) -> dict[float, Estimate]:
    """By fields, V/angstrom."""
    found = Result.read(output.with_suffix(".json")).points[1]
    assert found.label == "reweighted"
    return dict(zip(found.x.tolist(), found.y, strict=True))


@pytest.mark.parametrize("fields", [("0.1",), ("0.0", "0.1")])
def test_the_polarization_in_another_field_comes_with_its_error(
    fields: tuple[str, ...], runs: Path, tmp_path: Path
) -> None:
    arguments = [str(runs / field / "simulation") for field in fields]
    for field in fields:
        arguments += ["--field", field]
    arguments += ["--to", "0.05", "--to", "3", "--direction", "0", "2", "0"]
    arguments += ["--temperature", "300", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "3 V/angstrom  refused: only" in done.output
    found = reweighted(tmp_path / "out")
    assert list(found) == [0.05]
    one = found[0.05]
    assert one.value == pytest.approx(exact(0.05), abs=4 * one.error)
    assert one.error < 0.1 * exact(0.05)


def copied(runs: Path, field: str, folder: Path, column: str = "potential") -> Path:
    """The prefix of a copy of a run, with another name of the column of the potential."""
    shutil.copytree(runs / field, folder)
    out = folder / "simulation.out"
    out.write_text(out.read_text().replace("potential", column))
    return folder / "simulation"


def run_command(*arguments: str | Path) -> Invoked:
    fixed = ["--direction", "0", "1", "0", "--temperature", "300"]
    return CliRunner().invoke(command, [*map(str, arguments), *fixed], catch_exceptions=False)


def test_a_column_that_depends_on_positions_only_is_averaged_too(
    runs: Path, tmp_path: Path
) -> None:
    prefix = copied(runs, "0.1", tmp_path / "run", "r_gyration(H)")
    wanted = ["--observable", "r_gyration(H)", "-o", tmp_path / "out"]
    done = run_command(prefix, "--field", "0.1", "--to", "0.1", *wanted)
    assert done.exit_code == 0, done.output
    written = np.loadtxt(tmp_path / "run" / "simulation.out")[:, 2]
    found = reweighted(tmp_path / "out")[0.1]
    assert found.value == pytest.approx(written.mean())


def test_the_potential_is_that_without_the_field_of_each_run(runs: Path, tmp_path: Path) -> None:
    arguments = [str(runs / field / "simulation") for field in ("0.0", "0.1")]
    arguments += ["--field", "0", "--field", "0.1", "--to", "0.05", "--direction", "0", "1", "0"]
    arguments += ["--temperature", "300", "--observable", "potential"]
    done = CliRunner().invoke(
        command, [*arguments, "-o", str(tmp_path / "out")], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    found = reweighted(tmp_path / "out")[0.05]
    expected = 1.5 * 300.0 * KELVIN + 0.5 * RESPONSE * (0.05 * VOLT_PER_ANGSTROM) ** 2
    assert found.value == pytest.approx(expected, abs=4 * found.error)
    # half of what a field of 0.1 V/angstrom adds to the potential of its own run
    assert found.error < 0.2 * RESPONSE * (0.1 * VOLT_PER_ANGSTROM) ** 2 / 2.0


@pytest.mark.parametrize(
    ("observable", "fields"), [("polarization", ("0.02", "0.06")), ("potential", ("0.02",))]
)
def test_fields_of_second_order_take_the_polarizability(
    observable: str, fields: tuple[str, ...], tmp_path: Path
) -> None:
    # a charge on a spring, whose polarizability grows with its place: a parabola in every field
    stiffness, charge, constant, slope = 0.05, 10.0, 3000.0, 9000.0

    def moved(strength: float) -> float:
        return (charge * strength + 0.5 * slope * strength**2) / stiffness

    arguments: list[str] = []
    for seed, field in enumerate(fields):
        strength = float(field) * VOLT_PER_ANGSTROM
        rng = np.random.default_rng(seed)
        thermal = rng.normal(scale=np.sqrt(300.0 * KELVIN / stiffness), size=2000)
        place = moved(strength) + thermal
        tensors = np.zeros((2000, 3, 3))
        tensors[:, 1, 1] = constant + slope * place
        dipoles = np.zeros((2000, 3))
        dipoles[:, 1] = charge * place + tensors[:, 1, 1] * strength
        energy = 0.5 * stiffness * place**2 - charge * place * strength
        energy -= 0.5 * tensors[:, 1, 1] * strength**2
        prefix = tmp_path / field / "simulation"
        write_run(prefix, dipoles, LENGTH, energy, polarizabilities=tensors)
        arguments += [str(prefix), "--field", field]
    arguments += ["--to", "0.04", "--observable", observable, "--second-order"]
    done = run_command(*arguments, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    there = 0.04 * VOLT_PER_ANGSTROM
    place = moved(there)
    polarization = (charge * place + (constant + slope * place) * there) / LENGTH**3
    potential = 0.5 * 300.0 * KELVIN + 0.5 * stiffness * place**2
    exact_values = {
        "polarization": polarization / MICROCOULOMB_PER_CM2,
        "potential": potential,
    }
    found = reweighted(tmp_path / "out")[0.04]
    assert found.value == pytest.approx(exact_values[observable], abs=3.5 * found.error)
    # the induced dipole is two thirds of all, its energy in the run a quarter of this potential
    assert found.error < 0.07 * exact_values[observable]


def test_where_all_is_refused_there_is_no_figure(runs: Path, tmp_path: Path) -> None:
    arguments = [str(runs / "0.1" / "simulation"), "--field", "0.1", "--to", "3"]
    arguments += ["--direction", "0", "1", "0", "--temperature", "300", "-o", str(tmp_path / "out")]
    with pytest.raises(RecordError, match="effective samples are left"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert not (tmp_path / "out.png").exists()


def test_each_run_needs_its_field(runs: Path) -> None:
    prefix = str(runs / "0.1" / "simulation")
    arguments = [prefix, prefix, "--field", "0.1", "--to", "3", "--temperature", "300", "-o", "x"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert "2 PREFIX need as many --field, not 1" in done.output


def test_runs_on_other_branches_are_joined_as_if_they_were_on_one(
    runs: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    spread = np.sqrt(RESPONSE * 300.0 * KELVIN)
    # the quantum along the field is five times the response, that across never seen by weights
    dipoles = rng.normal(scale=spread, size=(3000, 3)) + LENGTH * np.array([0.0, 1.0, -2.0])
    dipoles[:, 1] += RESPONSE * 0.02 * VOLT_PER_ANGSTROM
    write_run(tmp_path / "far" / "simulation", dipoles, LENGTH)
    prefixes = [runs / "0.0" / "simulation", tmp_path / "far" / "simulation"]
    arguments = [*prefixes, "--field", "0", "--field", "0.02", "--to", "0.01"]
    done = run_command(*arguments, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert f"{prefixes[1]}: the mean dipole is [0, 1, -2] quanta" in done.output
    found = reweighted(tmp_path / "out")[0.01]
    assert found.value == pytest.approx(exact(0.01), abs=4 * found.error)
    run_command(*arguments, "--branches", "keep", "-o", tmp_path / "kept")
    kept = reweighted(tmp_path / "kept")[0.01]
    assert abs(kept.value - exact(0.01)) > 20 * found.error


def test_a_response_of_half_a_quantum_is_no_other_branch(tmp_path: Path) -> None:
    # a cell of three molecules in a strong field: the mean moves by 0.6 quanta
    length, response = 6.0, 900.0
    spread = np.sqrt(response * 300.0 * KELVIN)
    apart = 0.6 * length / response  # Eh/(e bohr)
    fields = [0.0, apart / VOLT_PER_ANGSTROM]
    arguments: list[str | Path] = []
    for seed, field in enumerate(fields):
        dipoles = np.random.default_rng(seed).normal(scale=spread, size=(3000, 3))
        dipoles[:, 1] += response * field * VOLT_PER_ANGSTROM
        write_run(tmp_path / str(seed) / "simulation", dipoles, length)
        arguments += [tmp_path / str(seed) / "simulation", "--field", str(field)]
    arguments += ["--to", str(0.5 * fields[1]), "-o", tmp_path / "out"]
    done = run_command(*arguments)
    assert done.exit_code == 0, done.output
    assert "moved" not in done.output
