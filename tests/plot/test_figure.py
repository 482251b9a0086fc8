"""Figures are made from results, and by nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLOT = ROOT / "mlobs_client" / "plot"
SOURCES = [
    path
    for folder in ("mlobs_client", "examples", "drivers")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if PLOT not in path.parents and path != ROOT / "examples" / "pictures.py"  # atoms, not numbers
]
WRITES = {"savefig", "save_figure", "imsave"}
"""What writes a picture, other than :func:`mlobs_client.plot.write`."""


def test_drawing_leaves_no_state_in_pyplot() -> None:
    code = "import sys, mlobs_client.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def figures_without_a_result(source: str) -> set[str]:
    """What imports matplotlib, or writes a picture by its own."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names if one.name.startswith("matplotlib")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("matplotlib"):
            found.add(str(node.module))
        elif isinstance(node, ast.Attribute | ast.Name):
            found |= {node.attr if isinstance(node, ast.Attribute) else node.id} & WRITES
    return found


def test_every_figure_of_the_package_and_of_the_examples_is_drawn_from_a_result() -> None:
    found = {path: figures_without_a_result(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source", ["import matplotlib.pyplot as plt", "from matplotlib.figure import Figure",
               "figure.savefig('a.png')", "save_figure(figure, 'a')"]
)  # fmt: skip
def test_a_figure_without_a_result_would_be_found(source: str) -> None:
    assert figures_without_a_result(source)
