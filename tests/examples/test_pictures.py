"""The pictures of the examples' systems."""

from __future__ import annotations

import runpy
from pathlib import Path

import ase.io
import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_readme_of_every_example_shows_its_system() -> None:
    folders = {path.parent for path in EXAMPLES.glob("*/README.md")}
    shown = {one for one in folders if "](system.png)" in (one / "README.md").read_text()}
    assert shown == folders
    assert all((one / "system.png").stat().st_size < 60_000 for one in folders)


def test_every_system_that_is_part_of_the_project_has_a_picture(tmp_path: Path) -> None:
    script = runpy.run_path(str(EXAMPLES / "pictures.py"))
    found = script["systems"]()
    # the data of train_water are not part of the project
    assert {*found, "train_water"} == {path.parent.name for path in EXAMPLES.glob("*/README.md")}
    script["draw"](*found["water_wire"], tmp_path / "wire.png")
    assert (tmp_path / "wire.png").stat().st_size > 5_000


def test_molecules_are_drawn_whole() -> None:
    script = runpy.run_path(str(EXAMPLES / "pictures.py"))
    box = ase.io.read(EXAMPLES / "pulse" / "init.xyz")
    water = script["whole"](box)
    oxygens = np.repeat(water.positions[::3], 2, axis=0)
    lengths = np.linalg.norm(water.positions[water.numbers == 1] - oxygens, axis=1)
    assert 0.85 < lengths.min() < lengths.max() < 1.15  # angstrom, as bonds of liquid water
    scaled = water[::3].get_scaled_positions(wrap=False)
    assert 0.0 <= scaled.min() < scaled.max() < 1.0
