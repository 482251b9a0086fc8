"""A training says how far it is, in a log file too."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from mlobs_client.cli.train_progress import shown


def test_a_log_file_has_a_line_for_each_look_at_the_validation_structures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown(Console(file=io.StringIO()), 2, 1000) as report:
        for step in range(1, 1001):  # the first look is after 50 steps
            report(0, step, math.nan if step < 50 else 0.5 / step)
        report(1, 1000, 0.25)  # done by an earlier call
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20 + 1
    assert lines[0] == "member 0: step 50/1000, 1 %"
    assert lines[-2:] == ["member 0: step 1000/1000, 0.05 %", "member 1: step 1000/1000, 25 %"]


def test_a_terminal_has_bars_and_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True)
    with shown(terminal, 1, 10) as report:
        report(0, 10, 0.25)
    assert not capsys.readouterr().err
    assert "member 0: 25 %" in terminal.file.getvalue()  # type: ignore[attr-defined]
