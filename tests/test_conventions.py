"""The rules of CONTRIBUTING.md, read from the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mlobs_client

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlobs_client"
FORBIDDEN = {
    "wire": ("torch", "ase", "mlobs_client.evaluate"),
    "analysis": ("torch", "mlobs_client.evaluate", "mlobs_client.wire"),
    "outputs": ("torch", "mlobs_client.evaluate", "mlobs_client.wire"),
    "record": ("torch",),
    "evaluate": ("mlobs_client.wire",),
    "terms": ("torch", "mlobs_client.wire"),
    "launch": ("torch",),
    "campaign": ("torch",),
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    wrong = [
        (path.name, name)
        for path in (PACKAGE / folder).rglob("*.py")
        for name in imported(path)
        for forbidden in FORBIDDEN[folder]
        if name == forbidden or name.startswith(forbidden + ".")
    ]
    assert wrong == []


def test_nothing_but_the_command_itself_imports_the_command_line() -> None:
    wrong = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE / "cli" and path.name != "__main__.py"
        if any(name.startswith("mlobs_client.cli") for name in imported(path))
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["drivers", "examples"])
def test_drivers_and_examples_import_only_public_names(folder: str) -> None:
    private = [
        (path.name, name)
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
        if name.startswith("mlobs_client") and any(part.startswith("_") for part in name.split("."))
    ]
    assert private == []


def test_drivers_are_entry_points_without_logic_of_their_own() -> None:
    lengths = {p.name: len(p.read_text().splitlines()) for p in (ROOT / "drivers").glob("*.py")}
    assert lengths
    assert max(lengths.values()) <= 40, lengths


def test_the_package_has_at_most_twelve_public_names_and_all_of_them_exist() -> None:
    assert len(mlobs_client.__all__) <= 12
    assert all(hasattr(mlobs_client, name) for name in mlobs_client.__all__)


def test_importing_the_package_loads_neither_torch_nor_ase_and_says_nothing() -> None:
    code = "import sys, mlobs_client; sys.exit(bool({'torch', 'ase'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_module_of_the_package_has_a_test_folder_or_file_that_mirrors_it() -> None:
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    modules = {
        path.stem
        for path in PACKAGE.rglob("*.py")
        if path.stem not in ("__init__", "__main__") and "templates" not in path.parts
    }
    interfaces = {"errors", "term"}  # nothing in them runs
    assert modules - tested - interfaces == set()
