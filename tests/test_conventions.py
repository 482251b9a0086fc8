"""The rules of CONTRIBUTING.md, read from the code itself."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlobs_client

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlobs_client"
GROUND = "ground"
ROOMS: dict[str, str] = {
    # room: the rooms below it that it imports from
    GROUND: "",
    "ipi": "ground",
    "wire": "ground",
    "results": "ground",
    "evaluate": "ground",
    "evaluate.toys": "ground evaluate",
    "evaluate.networks": "ground evaluate",
    "evaluate.compile": "ground evaluate evaluate.networks",
    "evaluate.mace": "ground evaluate evaluate.networks evaluate.compile",
    "terms": "ground evaluate",
    "record": "ground ipi",
    "analysis": "ground results",
    "analysis.liquids": "ground results",
    "analysis.vibrations": "ground results analysis",
    "analysis.response": "ground results analysis analysis.vibrations",
    "analysis.transport": "ground results analysis.vibrations",
    "client": "ground ipi wire evaluate evaluate.toys evaluate.compile evaluate.mace terms record",
    "plot": "ground results",
    "testing": "ground wire evaluate terms client",
    "bench": "ground evaluate client",
    "learn": "ground ipi results evaluate evaluate.networks evaluate.compile evaluate.mace "
    "analysis client",
    "check": "ground ipi evaluate terms client testing",
    "inputs": "ground ipi evaluate client check",
    "launch": "ground ipi wire evaluate client check",
    "campaign": "ground ipi results client launch",
    "studies": "ground ipi record results analysis analysis.liquids analysis.vibrations "
    "analysis.response analysis.transport client plot campaign",
    "cli": "ground ipi wire evaluate evaluate.compile record results analysis analysis.liquids "
    "analysis.vibrations analysis.response client plot bench learn check inputs launch campaign "
    "studies",
}
"""Imports run downwards only: no room imports from one that stands after it."""
WITH_TORCH = {"evaluate", "evaluate.networks", "evaluate.compile", "evaluate.mace", "learn"}
OPEN = {
    "mlobs_client.errors", "mlobs_client.quantities", "mlobs_client.units",
    "mlobs_client.templates.water_box",
}  # fmt: skip
"""Modules that are public as a whole."""
PATHS = [path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts]


def room_of(module: str) -> str:
    """The folder of a module; the interface of a room is its ``__init__``."""
    words = module.split(".")[1:]
    folder = PACKAGE.joinpath(*words)
    if not folder.is_dir():
        words = words[:-1]
    return ".".join(words) or GROUND


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the modules from which a module takes something."""
    names = {name for name in imported(path) if name.split(".")[0] == "mlobs_client"}
    return {room_of(name) for name in names if is_module(name) and name != "mlobs_client"}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def test_rooms_import_downwards_only() -> None:
    names = list(ROOMS)
    for i, room in enumerate(names):
        assert set(ROOMS[room].split()) <= set(names[:i]), room


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        (name := ".".join(path.relative_to(ROOT).with_suffix("").parts)): {
            other
            for other in imported(path)
            if other != name and ROOT.joinpath(*other.split(".")).with_suffix(".py").exists()
        }
        for path in PATHS
    }
    list(graphlib.TopologicalSorter(graph).static_order())  # else CycleError, which names it


def test_every_folder_is_a_room() -> None:
    folders = {room_of(".".join(path.relative_to(ROOT).parent.parts)) for path in PATHS}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_the_rooms_that_it_may_and_from_all_of_them(room: str) -> None:
    found: set[str] = set()
    for path in PATHS:
        if (
            path.name == "__main__.py"
            or room_of(".".join(path.relative_to(ROOT).parent.parts)) != room
        ):
            continue
        rooms = imported_rooms(path) - {room}
        if path.name == "__init__.py":  # shows users what the rooms inside have
            rooms = {other for other in rooms if room != GROUND and not other.startswith(room)}
        found |= rooms
    assert found == set(ROOMS[room].split())


@pytest.mark.parametrize("room", sorted(ROOMS.keys() - WITH_TORCH))
def test_a_room_without_networks_does_not_import_torch(room: str) -> None:
    folder = PACKAGE if room == GROUND else PACKAGE.joinpath(*room.split("."))
    assert [path.name for path in folder.glob("*.py") if "torch" in imported(path)] == []


@pytest.mark.parametrize("folder", ["drivers", "examples"])
def test_drivers_and_examples_import_only_what_interfaces_show(folder: str) -> None:
    hidden = [
        (str(path.relative_to(ROOT)), node.module, name.name)
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        if node.module and node.module.startswith("mlobs_client") and node.module not in OPEN
        for name in node.names
        if name.name not in getattr(importlib.import_module(node.module), "__all__", ())
    ]
    assert hidden == []


@pytest.mark.parametrize("stub", sorted(PACKAGE.rglob("__init__.pyi")), ids=str)
def test_an_interface_shows_what_is_there(stub: Path) -> None:
    room = importlib.import_module(".".join(stub.relative_to(ROOT).parent.parts))
    assert room.__all__
    assert all(getattr(room, name) is not None for name in room.__all__)


@pytest.mark.parametrize("stub", sorted(PACKAGE.rglob("__init__.pyi")), ids=str)
def test_an_interface_takes_strings_as_paths(stub: Path) -> None:
    room = importlib.import_module(".".join(stub.relative_to(ROOT).parent.parts))
    paths_only = [
        (name, parameter.name)
        for name in room.__all__
        if callable(thing := getattr(room, name))
        and name not in ("MlobsError", "Run")  # a dataclass has one type for what it is given
        for parameter in inspect.signature(thing).parameters.values()
        if "Path" in str(parameter.annotation) and "str" not in str(parameter.annotation)
    ]
    assert paths_only == []


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


def test_importing_the_package_takes_at_most_twice_as_long_as_numpy() -> None:
    package, numpy = (
        statistics.median(cpu_time_of(f"import {name}") for _ in range(5))
        for name in ("mlobs_client", "numpy")
    )
    assert package <= 2.0 * numpy


def cpu_time_of(code: str) -> float:
    """Seconds, of a Python of its own, beyond those of starting it."""
    clock = f"import time; begun = time.process_time(); {code}; print(time.process_time() - begun)"
    done = subprocess.run([sys.executable, "-c", clock], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_a_module_has_at_most_400_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PATHS}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_every_module_of_the_package_has_a_test_folder_or_file_that_mirrors_it() -> None:
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    modules = {
        path.stem
        for path in PACKAGE.rglob("*.py")
        if path.stem not in ("__init__", "__main__") and "templates" not in path.parts
    }
    interfaces = {"errors", "term"}  # nothing in them runs
    assert modules - tested - interfaces == set()


def texts(path: Path) -> Iterator[str]:
    """Docstrings, also those of constants, and help texts of options."""
    for node in ast.walk(ast.parse(path.read_text())):
        is_text = isinstance(node, ast.Expr) or (
            isinstance(node, ast.keyword) and node.arg == "help"
        )
        if is_text and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def test_docstrings_and_help_texts_are_no_fragments_of_questions() -> None:
    fragments = [
        (path.name, text)
        for path in PATHS
        for text in texts(path)
        if re.match(r"\s*(Of|What|Whether|Which|How|Where)\b", text)
    ]
    assert fragments == []
