"""Inputs that i-PI runs have no errors and no warnings; those that it does not have errors."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from public_inputs import Input, trajectory
from public_inputs_that_do_not import BAD, FOLLOWED
from public_inputs_that_run import GOOD

from mlobs_client.check.files import check_files
from mlobs_client.check.finding import Finding, Level


@pytest.fixture(autouse=True)
def _in_one_process(ipi_in_this_process: None) -> None:
    """Ninety processes would take minutes."""


def judge(case: Input, folder: Path) -> list[Finding]:
    path, clients = case.write(folder)
    with contextlib.chdir(folder):
        return list(
            check_files(
                path.relative_to(folder),
                [client.relative_to(folder) for client in clients],
                [case.n_clients] * len(clients),
            )
        )


def select(findings: list[Finding], level: Level) -> list[str]:
    return [f"{found.what} -> {found.remedy}" for found in findings if found.level is level]


@pytest.mark.parametrize("name", GOOD)
def test_an_input_that_ipi_runs_is_neither_refused_nor_doubted(name, tmp_path):
    case = GOOD[name]
    findings = judge(case, tmp_path)
    assert select(findings, Level.ERROR) == []
    said = select(findings, Level.WARNING)
    assert len(said) == len(case.warnings), said
    assert all(part in text for part, text in zip(case.warnings, said, strict=True)), said
    assert any("i-PI reads input.xml" in text for text in select(findings, Level.OK))


@pytest.mark.parametrize("name", BAD)
def test_an_input_that_cannot_run_has_an_error(name, tmp_path):
    case, said = BAD[name]
    errors = select(judge(case, tmp_path), Level.ERROR)
    assert any(said in text for text in errors), errors
    assert all(not text.endswith("-> ") for text in errors)


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_remedy_that_is_followed_removes_the_error(name, tmp_path):
    assert select(judge(BAD[name][0], tmp_path / "bad"), Level.ERROR) != []
    findings = judge(FOLLOWED[name], tmp_path / "good")
    assert select(findings, Level.ERROR) == select(findings, Level.WARNING) == []


def test_an_input_of_another_folder_is_an_error_of_a_run_that_copying_it_removes(tmp_path):
    case = GOOD["an input that is started from the folder above"]
    path, clients = case.write(tmp_path)
    with contextlib.chdir(tmp_path):
        (error,) = select(list(check_files(path, clients, is_run=True)), Level.ERROR)
        assert "'mlobs run' starts i-PI" in error
        (warning,) = select(list(check_files(path, clients)), Level.WARNING)
        assert "copy input.xml here for 'mlobs run'" in warning
        (tmp_path / "input.xml").write_text(path.read_text())
        findings = list(check_files(Path("input.xml"), clients, is_run=True))
    assert select(findings, Level.ERROR) == select(findings, Level.WARNING) == []


def test_a_unit_that_ipi_ignores_is_a_warning(tmp_path):
    findings = judge(replace(GOOD["ffsocket"], names="step{angstrom}, potential"), tmp_path)
    (warning,) = select(findings, Level.WARNING)
    assert "step has no unit, and i-PI ignores the given one -> remove it" in warning


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outputs": trajectory("positions", "p") + trajectory("x_centroid", "p_0")}, "p_0.xyz"),
        ({"system": "<system> {0} </system> <system> {0} </system>"}, "2 systems have prefix=''"),
    ],
    ids=["outputs", "systems"],
)
def test_files_that_ipi_would_move_away_are_a_warning(changes, said, tmp_path):
    findings = judge(replace(GOOD["ffsocket"], **changes), tmp_path)
    assert select(findings, Level.ERROR) == []
    (warning,) = select(findings, Level.WARNING)
    assert said in warning


def test_a_parameter_of_a_calculator_that_is_a_setting_of_the_file_is_a_warning(tmp_path):
    text = GOOD["npt"].clients["client.toml"]
    case = replace(GOOD["npt"], clients={"client.toml": text.replace("rc =", "batch = 4, rc =")})
    (warning,) = select(judge(case, tmp_path), Level.WARNING)
    assert "'batch'" in warning
    case = replace(GOOD["npt"], clients={"client.toml": f"batch = 4\n{text}"})
    assert select(judge(case, tmp_path), Level.WARNING) == []
