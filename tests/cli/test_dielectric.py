"""``mlobs dielectric`` on the files of runs whose dielectric function is known."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Invoked
from csv_files import read_csv
from scipy.signal import lfilter
from written_runs import write_run

from mlobs_client.cli.dielectric import STATIC, command
from mlobs_client.errors import RecordError
from mlobs_client.results import Result
from mlobs_client.studies.runs import Run
from mlobs_client.units import ANGSTROM, FEMTOSECOND, INVERSE_CM, KELVIN, VOLT_PER_ANGSTROM

LENGTH = 10.0 * ANGSTROM
STEP = 4.0
DECAY = 20.0
"""Samples, of 2 fs."""
REST = np.array([5.0, -3.0, 2.0])
STRENGTH = 0.01


def relaxing(sign: float) -> np.ndarray:
    size = sign * STEP * LENGTH**3 / (4.0 * np.pi) * STRENGTH * VOLT_PER_ANGSTROM
    return REST + size * np.exp(-np.arange(3000) / DECAY)[:, None] * [0.0, 1.0, 0.0]


def at_rest(n_samples: int = 40_000) -> np.ndarray:
    """Ornstein-Uhlenbeck, with the variance that belongs to STEP."""
    rng = np.random.default_rng(4)
    variance = STEP * LENGTH**3 * 300.0 * KELVIN / (4.0 * np.pi)
    keep = np.exp(-1.0 / DECAY)
    noise = np.sqrt(variance * (1.0 - keep**2)) * rng.normal(size=(n_samples, 3))
    series = np.empty((n_samples, 3))
    series[0] = np.sqrt(variance) * rng.normal(size=3)
    for t in range(1, n_samples):
        series[t] = keep * series[t - 1] + noise[t]
    return series + REST


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dielectric")
    write_run(folder / "rest" / "simulation", at_rest(), LENGTH)
    for name, sign in (("up", 1.0), ("down", -1.0)):
        write_run(folder / name / "simulation", relaxing(sign), LENGTH)
        extras = folder / name / "simulation.dipole_0"
        shutil.copy(extras, extras.with_name("simulation.dipole_1"))  # two beads at one place
    return folder


def test_fluctuations_and_relaxation_give_the_static_number_and_the_function_of_debye(
    runs: Path, tmp_path: Path
) -> None:
    arguments = [str(runs / "rest" / "simulation"), "--temperature", "300", "--resolution", "20"]
    for name, sign in (("up", 1.0), ("down", -1.0)):
        field = ["0", str(sign * STRENGTH), "0"]
        arguments += ["--response", str(runs / name / "simulation"), "--field", *field]
    arguments += ["--eps-infinity", "1.8", "-o", str(tmp_path / "eps")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "static dielectric constant" in done.output
    found = Result.read(tmp_path / "eps.json")
    (tensor,) = found.tensors
    largest = float(tensor.errors.max())
    np.testing.assert_allclose(tensor.values, (1.8 + STEP) * np.eye(3), atol=4.0 * largest)
    assert largest < 0.3
    third = found.numbers[STATIC]
    assert third.value == pytest.approx(np.trace(tensor.values) / 3.0)
    assert 0.0 < third.error < largest
    estimators = {one.label: one.details["estimator"] for one in found.curves}
    assert estimators == {"fluctuations": "classical nuclei", "relaxation": "mean over 2 beads"}
    relaxed = found.numbers[f"{STATIC}, from relaxation"]
    assert relaxed.no_error == "2 values, needs 3"  # one run from each sign of the field
    # sample 0 counts fully; trapezoids
    assert relaxed.value == pytest.approx(1.8 + STEP, abs=0.05)
    rows = [row for row in read_csv(tmp_path / "eps.csv") if row["curve"] == "relaxation"]
    loss = [row for row in rows if row["quantity"].endswith("imaginary part")]
    at = np.array([float(row["wavenumber (cm^-1)"]) for row in loss])
    top = at[np.argmax([float(row["value"]) for row in loss])]
    # 1/(2 pi c 40 fs), broadened by 20
    assert top == pytest.approx(132.7, abs=15.0)


def test_each_response_needs_a_field(runs: Path) -> None:
    prefix = str(runs / "rest" / "simulation")
    arguments = [prefix, "--temperature", "300", "-o", "x", "--response", prefix]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert "1 --response need as many --field, not 0" in done.output


def in_a_pulse(sign: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dipoles that obey Debye after a pulse with a sigma of 5 fs, and the pulse, V/angstrom."""
    t = 2.0 * np.arange(1000)  # fs
    tau = 2.0 * DECAY
    pulse = STRENGTH * np.exp(-0.5 * ((t - 30.0) / 5.0) ** 2)
    fine = 0.01 * np.arange(200_000)
    filtered = lfilter([0.01 / tau], [1.0, 0.01 / tau - 1.0], np.interp(fine, t, pulse))[::200]
    size = sign * STEP * LENGTH**3 / (4.0 * np.pi) * VOLT_PER_ANGSTROM
    motion = start + 0.01 * np.sin(0.05 * t)[:, None] * [1.0, 2.0, 3.0]
    return motion + size * filtered[:, None] * [0.0, 1.0, 0.0], sign * pulse[:, None] * [0, 1, 0]


@pytest.fixture(scope="module")
def pulses(runs: Path) -> list[str]:
    """Options that name four runs, whose partners are not neighbours."""
    options = []
    for k, start in enumerate((REST, REST + 0.3)):
        for name, sign in (("plus", 1.0), ("minus", -1.0)):
            prefix = runs / f"{name}-{k}" / "simulation"
            dipoles, field = in_a_pulse(sign, start)
            write_run(prefix, dipoles, LENGTH, field=field)
            options.append(str(prefix))
    return [word for k in (0, 2, 3, 1) for word in ("--pulse", options[k])]


def at_300_kelvin(runs: Path, *more: str) -> Invoked:
    arguments = [str(runs / "rest" / "simulation"), "--temperature", "300", "--resolution", "40"]
    return CliRunner().invoke(command, [*arguments, *more])


def test_pulses_give_the_same_function_along_with_the_others(
    runs: Path, pulses: list[str], tmp_path: Path
) -> None:
    field = ["--field", "0", str(STRENGTH), "0", "--field", "0", str(-STRENGTH), "0"]
    responses = [w for n in ("up", "down") for w in ("--response", str(runs / n / "simulation"))]
    done = at_300_kelvin(runs, *pulses, *responses, *field, "-o", str(tmp_path / "eps"))
    assert done.exit_code == 0, done.output
    # exp(-(w 5 fs)^2/2) = 0.1 at 2276 cm^-1
    assert "the pulse covers only 40 to 2276 cm^-1" in done.output
    curves = read_csv(tmp_path / "eps.csv")
    assert {row["curve"] for row in curves} == {"fluctuations", "relaxation", "pulse"}
    loss = [r for r in curves if r["curve"] == "pulse" and r["quantity"].endswith("imaginary part")]
    at = np.array([float(row["wavenumber (cm^-1)"]) for row in loss])
    found = np.array([float(row["value"]) for row in loss])
    phase = at * INVERSE_CM * 2.0 * DECAY * FEMTOSECOND
    # broadened by 40 cm^-1; a first-order filter of 0.01 fs
    np.testing.assert_allclose(found, STEP * phase / (1.0 + phase**2), atol=0.02 * STEP)
    statics = {STATIC, f"{STATIC}, from fluctuations", f"{STATIC}, from relaxation"}
    assert set(Result.read(tmp_path / "eps.h5").numbers) == statics


def test_a_pulse_is_along_the_field_of_the_responses(runs: Path, pulses: list[str]) -> None:
    responses = [w for n in ("up", "down") for w in ("--response", str(runs / n / "simulation"))]
    field = ["--field", "0.01", "0", "0", "--field", "-0.01", "0", "0"]
    done = at_300_kelvin(runs, *pulses, *responses, *field, "-o", "x")
    assert done.exit_code == 2
    assert "are not parallel" in done.output


def test_a_run_without_its_field_says_what_to_write(runs: Path) -> None:
    prefix = str(runs / "up" / "simulation")
    done = at_300_kelvin(runs, "--pulse", prefix, "-o", "x")
    assert "simulation.out: has no column Efield{v/ang}; add it to <properties>" in str(
        done.exception
    )


def test_a_pulse_that_was_over_before_the_run_is_named_with_its_run(
    runs: Path, pulses: list[str], tmp_path: Path
) -> None:
    dipoles, field = in_a_pulse(1.0, REST)
    late = tmp_path / "late" / "simulation"
    write_run(late, dipoles, LENGTH, field=np.zeros_like(field))
    done = at_300_kelvin(runs, *pulses, "--pulse", str(late), "-o", "x")
    assert re.search(r"late/simulation has no pulse: .* RESTART", str(done.exception))


def test_a_field_that_was_cut_off_says_where(tmp_path: Path) -> None:
    dipoles, field = in_a_pulse(1.0, REST)
    write_run(tmp_path / "run", dipoles, LENGTH, field=field)
    out = tmp_path / "run.out"
    out.write_bytes(out.read_bytes()[:-30])
    run = Run(tmp_path / "run")
    steps = run.dipoles().steps
    with pytest.raises(
        RecordError,
        match=rf"ends at step {steps[-2]}, but other outputs at {steps[-1]}: .*--resume",
    ):
        run.fields(steps)


def test_a_field_at_other_steps_than_the_dipole_says_which(tmp_path: Path) -> None:
    dipoles, field = in_a_pulse(1.0, REST)
    write_run(tmp_path / "run", dipoles, LENGTH, field=field)
    properties = (tmp_path / "run.out").read_text().splitlines(keepends=True)
    header, rows = properties[:5], properties[5:]
    (tmp_path / "run.out").write_text("".join(header + rows[::2]))
    run = Run(tmp_path / "run")
    with pytest.raises(
        RecordError, match=r"has Efield at the steps 0, 8, 16 .* at 0, 4, 8 .* stride"
    ):
        run.fields(run.dipoles().steps)


@pytest.fixture(scope="module")
def two_branches(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Halves of one long run, the second of them two quanta away."""
    folder = tmp_path_factory.mktemp("branches")
    first, second = np.split(at_rest(12_000), 2)
    write_run(folder / "a" / "simulation", first, LENGTH)
    write_run(folder / "b" / "simulation", second + LENGTH * np.array([0, -2, 0]), LENGTH)
    return [str(folder / name / "simulation") for name in "ab"]


def test_quanta_between_runs_are_no_fluctuations(two_branches: list[str], tmp_path: Path) -> None:
    arguments = [*two_branches, "--temperature", "300", "--resolution", "20", "-o"]
    found = {}
    for branches in ("align", "keep"):
        output = str(tmp_path / branches)
        done = CliRunner().invoke(command, [*arguments, output, "--branches", branches])
        assert done.exit_code == 0, done.output
        found[branches] = Result.read(f"{output}.json").numbers[STATIC]
        said = f"{two_branches[1]}: the mean dipole is [0, -2, 0] quanta" in done.output
        assert said == (branches == "align")
    aligned = found["align"]
    assert aligned.value == pytest.approx(1.0 + STEP, abs=4.0 * aligned.error)
    assert aligned.error < 0.6
    assert found["keep"].value > 100.0


def test_a_response_on_another_branch_is_moved_to_that_of_the_runs_at_rest(
    runs: Path, tmp_path: Path
) -> None:
    quanta = LENGTH * np.array([0.0, 2.0, -1.0])
    write_run(tmp_path / "up" / "simulation", relaxing(1.0) + quanta, LENGTH)
    prefixes = [tmp_path / "up" / "simulation", runs / "down" / "simulation"]
    arguments = [w for prefix in prefixes for w in ("--response", str(prefix))]
    arguments += ["--field", "0", str(STRENGTH), "0", "--field", "0", str(-STRENGTH), "0"]
    done = at_300_kelvin(runs, *arguments, "-o", str(tmp_path / "eps"))
    assert done.exit_code == 0, done.output
    assert f"{prefixes[0]}: the mean dipole is [0, 2, -1] quanta" in done.output
    # sample 0 counts fully; trapezoids
    relaxed = Result.read(tmp_path / "eps.json").numbers[f"{STATIC}, from relaxation"]
    assert relaxed.value == pytest.approx(1.0 + STEP, abs=0.05)


def test_a_response_that_ends_between_two_branches_is_refused(runs: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "up" / "simulation", relaxing(1.0) + 0.5 * LENGTH, LENGTH)
    prefixes = [tmp_path / "up" / "simulation", runs / "down" / "simulation"]
    arguments = [w for prefix in prefixes for w in ("--response", str(prefix))]
    arguments += ["--field", "0", str(STRENGTH), "0", "--field", "0", str(-STRENGTH), "0"]
    done = at_300_kelvin(runs, *arguments, "-o", str(tmp_path / "eps"))
    assert isinstance(done.exception, RecordError)
    assert re.search(r"last quarter of .*up/simulation and .* quanta", str(done.exception))
