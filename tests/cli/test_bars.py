"""All commands show progress alike."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import mlobs_client
from mlobs_client.cli.bars import make_bar


@pytest.mark.parametrize(("counts", "said"), [(True, "2/8"), (False, "25%")])
def test_a_bar_shows_how_far_each_task_is(counts: bool, said: str) -> None:
    screen = io.StringIO()
    with make_bar(Console(file=screen, force_terminal=True, width=120), counts=counts) as bar:
        for name in ("one", "other"):
            bar.add_task(name, total=8, completed=2)
    *_, one, other, _ = screen.getvalue().splitlines()  # the last one shows the cursor again
    assert "one" in one
    assert "other" in other
    assert said in one
    assert said in other


@pytest.mark.parametrize("counts", [True, False])
def test_in_a_narrow_terminal_the_description_is_folded_and_nothing_is_cut(counts: bool) -> None:
    screen = io.StringIO()
    text = "step 12000/40000, 0.25 ns/day, 301 K, spread 12.5 meV, 12 clients, runs/one=1_two=2"
    with make_bar(Console(file=screen, force_terminal=True, width=80), counts=counts) as bar:
        bar.add_task(text, total=40000, completed=12000)
    said = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", screen.getvalue())
    missing = [word for word in text.split() if word not in said]
    assert (missing, "…" in said) == ([], False)
    assert ("12000/40000" if counts else "30%") in said.splitlines()[1]
    assert "0:00:00 -:--:--" in said  # elapsed and remaining


def test_there_is_one_progress_bar() -> None:
    package = Path(mlobs_client.__file__).parent
    importing = [
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "rich.progress"
    ]
    assert importing == ["bars.py"]
