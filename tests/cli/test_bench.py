"""mlobs bench: what it measures, recommends and refuses."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ipi_runs import WATER

from mlobs_client.bench.cases import Case, Timing
from mlobs_client.bench.subject import Subject, Survey
from mlobs_client.cli import bench, group
from mlobs_client.client.config import parse
from mlobs_client.client.precision import Rounding
from mlobs_client.errors import MlobsError, ModelError

POTENTIAL = "bundled:water/potential-0"
DOUBLE = Case("float64", batch=4, threads=1, clients=1, share=8)
SINGLE = Case("float32", batch=2, threads=2, clients=2, share=4)
PLAN = bench.Plan(
    Subject((POTENTIAL,), "init.xyz", compile=True),
    Survey(n_atoms=3, estimate=8, rounding=Rounding(1.5e-6, 2.5)),
    beads=8,
    cores=4,
    timestep=0.5,
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, ["bench", *map(str, arguments)])


def shown(timings: Sequence[Timing], capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    bench._show(replace(PLAN, **changes), timings)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "init.xyz").write_text(WATER)
    return folder


@pytest.fixture(scope="module")
def measured(folder: Path) -> tuple[str, dict[str, Any]]:
    """What was said of two beads on one core, and the JSON."""
    options = ("-b", "2", "--cores", "1", "--seconds", "0", "--timestep", "0.25", "--no-compile")
    output = folder / "bench.json"
    done = run(POTENTIAL, folder / "init.xyz", *options, "-o", output)
    assert done.exit_code == 0, done.output
    return done.output, json.loads(output.read_text())


def test_both_precisions_are_measured_with_every_batch(
    measured: tuple[str, dict[str, Any]],
) -> None:
    _, content = measured
    found = {(case["dtype"], case["batch"]) for case in content["cases"]}
    assert found == {("float64", 1), ("float64", 2), ("float32", 1), ("float32", 2)}


def test_the_json_holds_the_best_of_each_precision_and_one_recommendation(
    measured: tuple[str, dict[str, Any]],
) -> None:
    _, content = measured
    best = [case["dtype"] for case in content["cases"] if case["best_of_precision"]]
    assert sorted(best) == ["float32", "float64"]
    assert sum(case["recommended"] for case in content["cases"]) == 1


def test_nanoseconds_per_day_follow_from_the_time_step(
    measured: tuple[str, dict[str, Any]],
) -> None:
    _, content = measured
    for case in content["cases"]:
        assert case["ns_per_day"] == pytest.approx(0.25e-6 * 86400 / case["seconds_per_step"])


def test_what_is_measured_is_said_with_its_precision_and_its_limits(
    measured: tuple[str, dict[str, Any]],
) -> None:
    said = " ".join(measured[0].split())
    for part in (
        "2 structures of 3 atoms per step: 4 cases on 1 core",
        "best float64",
        "float32 changes the forces on this structure by at most",
        "the time that i-PI takes comes on top",
        "they compile the networks",
        "Recommended: float",
    ):
        assert part in said


def test_the_recommended_lines_make_a_client_file(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown([Timing(SINGLE, 0.1), Timing(DOUBLE, 0.2)], capsys)
    advice = said.split("Recommended: ")[1].split("Or: ")[0]
    lines = advice.split("in client.toml\n")[1].split("  in <ffsocket>")[0]
    rest = 'kind = "mace"\nmodels = ["x.model"]\n'
    config = parse(tomllib.loads('structure = "init.xyz"\n' + lines + rest), "pasted")
    assert (config.threads, config.batch) == (SINGLE.threads, SINGLE.batch)
    assert config.potential is not None
    assert config.potential.dtype == "float32"  # type: ignore[union-attr]
    assert "<batch_size> 4 </batch_size>" in advice
    assert "mlobs run input.xml client.toml -n 2" in advice


def test_who_does_not_trust_single_precision_is_told_the_fastest_double(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = shown([Timing(DOUBLE, 0.2), Timing(SINGLE, 0.1)], capsys)
    assert said.index("Recommended: float32") < said.index("Or: float64")


def test_single_precision_that_gains_nothing_is_not_offered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = shown([Timing(DOUBLE, 0.1), Timing(SINGLE, 0.1)], capsys)
    assert "Recommended: float64" in said
    assert "Or: " not in said


def test_one_structure_per_step_is_said_to_occupy_one_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    timings = [Timing(replace(case, clients=1, share=1), 0.1) for case in (DOUBLE, SINGLE)]
    assert "occupies one client" in shown(timings, capsys, beads=1)
    assert "occupies one client" not in shown(timings, capsys)


def test_why_networks_were_not_compiled_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    timings = [Timing(case, 0.1, "no compiler") for case in (DOUBLE, SINGLE)]
    assert shown(timings, capsys).count("no compiler") == 1


def test_the_number_of_compilations_is_said_beforehand() -> None:
    assert "18 cases on 4 cores, and up to 14 compilations" in PLAN.announcement
    as_they_are = replace(PLAN, subject=replace(PLAN.subject, compile=False))
    assert "compilations" not in as_they_are.announcement


def test_an_interruption_says_that_programs_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "measure", interrupted)
    done = run(POTENTIAL, folder / "init.xyz")
    assert done.exit_code == 130
    assert "compiled programs are kept" in done.output


def test_a_model_that_is_not_trusted_is_not_measured(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.model").write_bytes(b"a pickle")
    done = run(tmp_path / "mine.model", folder / "init.xyz")
    assert isinstance(done.exception, ModelError)
    assert str(done.exception).endswith(f"run: mlobs model trust {tmp_path}/mine.model")


def test_numbers_that_cannot_be_written_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_measure", lambda *_: [Timing(DOUBLE, 0.1), Timing(SINGLE, 0.1)])
    done = run(POTENTIAL, folder / "init.xyz", "-o", "/dev/full")
    assert isinstance(done.exception, MlobsError)
    assert "/dev/full: cannot be written: No space left" in str(done.exception)
    assert '"seconds_per_step": 0.1' in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--timestep", "nan"], "not a finite number"), (["--cores", "100000"], "may use"),
     (["-o", "/"], "is a folder")],
)  # fmt: skip
def test_impossible_options_are_refused_before_anything_is_measured(
    folder: Path, options: list[str], said: str
) -> None:
    done = run(POTENTIAL, folder / "init.xyz", *options)
    assert done.exit_code != 0
    assert said in done.output + str(done.exception)


def test_a_busy_machine_is_warned_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (1e4, 0.0, 0.0))
    monkeypatch.setattr(bench, "_measure", lambda *_: [Timing(DOUBLE, 0.1), Timing(SINGLE, 0.1)])
    done = run(POTENTIAL, folder / "init.xyz")
    assert "the load of this machine is 10000.0" in done.output


@pytest.mark.parametrize(
    ("models", "structure", "options", "said"),
    [
        ("absent.model", "init.xyz", (), "matches no file"),
        (POTENTIAL, "absent.xyz", (), "does not exist"),
        ("bundled:water/dipole-0", "init.xyz", (), "is not a potential"),
        (POTENTIAL, "init.xyz", ("-o", "absent/bench.json"), "there is no folder absent"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_measured(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    models: str,
    structure: str,
    options: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(folder)
    done = run(models, structure, *options)
    assert isinstance(done.exception, MlobsError)
    assert said in str(done.exception)


def test_an_output_that_cannot_be_written_is_named(folder: Path) -> None:
    timings = [Timing(DOUBLE, 0.1), Timing(SINGLE, 0.1)]
    with pytest.raises(MlobsError, match="cannot be written"):
        bench._write(PLAN, timings, folder)
