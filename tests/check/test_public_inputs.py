"""Inputs that i-PI runs have no errors and no warnings; those that it does not have errors."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from public_inputs import BAD, GOOD, Input

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
