"""Inputs for all kinds of structures: ``mlobs check`` finds no error in them, and they run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100, fcc111, graphene, make_supercell, molecule, nanotube
from ase.cluster import Octahedron
from ase.constraints import FixAtoms
from click.testing import CliRunner
from ipi_runs import run_ipi_in_this_process

from mlobs_client.cli.check import command as check
from mlobs_client.cli.client import command as serve
from mlobs_client.cli.init import STRUCTURES, command
from mlobs_client.ipi import Properties, read_properties
from mlobs_client.ipi.structure_formats import read_last
from mlobs_client.units import ANGSTROM, DALTON

EMT = "ase.calculators.emt.EMT"
POTENTIAL = "bundled:water/potential-0"
BOX = Path(__file__).parents[2] / "ipi_inputs" / "water-nvt" / "init.xyz"


def invoke(*arguments: str | Path):
    return CliRunner().invoke(command, list(map(str, arguments)))


def cut_water(n_molecules: int) -> Atoms:
    """Some molecules of the water box, in a cell of the same density."""
    box = ase.io.read(BOX)[: 3 * n_molecules]
    box.set_cell(np.diag([7.83, 7.83, 7.83 * n_molecules / 16.0 + 4.0]))
    return box


def in_vacuum(atoms: Atoms) -> Atoms:
    atoms.center(vacuum=6.0)
    return atoms


def heavy(atoms: Atoms, **masses: float) -> Atoms:
    atoms.set_masses([masses.get(one.symbol, one.mass) for one in atoms])
    return atoms


def sheared() -> Atoms:
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    shear = np.array([[1.0, 0.1, 0.0], [0.05, 1.0, 0.2], [0.1, 0.0, 1.0]])
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    return atoms


def with_fixed_layer(slab: Atoms) -> Atoms:
    slab.set_constraint(FixAtoms(mask=slab.get_tags() == slab.get_tags().max()))
    slab.info.clear()
    return slab


ASE = ["--calculator", EMT]
TIGHT_BINDING = ["--calculator", "tblite.ase.TBLite", "--parameter", "verbosity=0"]
MACE = ["--model", POTENTIAL]
DIPOLE = ["--dipole", "bundled:water/dipole-0"]
IONS = ["--oxidation-numbers", "O=-2,H=1"]
SYSTEMS: dict[str, tuple[Callable[[], Atoms], list[str]]] = {
    # molecules
    "water": (lambda: molecule("H2O"), [*MACE, *DIPOLE]),
    "water-dimer": (lambda: in_vacuum(cut_water(2)), ["molecule", *MACE, "--beads", "4"]),
    "heavy-water": (lambda: heavy(molecule("H2O"), H=2.014), [*MACE, "--ensemble", "trpmd"]),
    "ethanol": (lambda: molecule("CH3CH2OH"), [*TIGHT_BINDING, "--ensemble", "trpmd"]),
    "benzene-13": (lambda: heavy(molecule("C6H6"), C=13.003), TIGHT_BINDING),
    "ammonia": (lambda: molecule("NH3", vacuum=6.0), [*TIGHT_BINDING, "--beads", "3"]),
    "methanol": (lambda: molecule("CH3OH"), [*TIGHT_BINDING, "--ensemble", "nve"]),
    "acetic-acid": (lambda: molecule("CH3COOH"), [*TIGHT_BINDING, "--timestep", "0.25"]),
    "silver-cluster": (lambda: Octahedron("Ag", 3), ASE),
    # liquids
    "liquid": (lambda: cut_water(4), ["liquid", *MACE, "--ensemble", "npt"]),
    "liquid-in-a-field": (
        lambda: cut_water(3),
        ["liquid", *MACE, *DIPOLE, *IONS, "--field", "0", "0", "0.1"],
    ),
    # slabs, a sheet and a wire
    "copper-slab": (lambda: with_fixed_layer(fcc111("Cu", (2, 2, 3), vacuum=6.0)), ASE),
    "slab-of-vasp": (
        lambda: with_fixed_layer(fcc100("Al", (2, 2, 3), vacuum=6.0, periodic=True)),
        ["slab", *ASE, "--beads", "2"],
    ),
    "slab-without-vacuum": (lambda: with_fixed_layer(fcc111("Ni", (2, 2, 2))), ASE),
    "graphene": (lambda: graphene(size=(2, 2, 1)), ASE),
    "nanotube": (lambda: nanotube(6, 0), ASE),
    # crystals
    "triclinic-copper": (sheared, ["crystal", *ASE, "--ensemble", "npt"]),
    "primitive-gold": (lambda: bulk("Au") * (2, 2, 2), [*ASE, "--timestep", "1.5"]),
    "left-handed": (lambda: make_supercell(bulk("Pt") * 2, -np.eye(3)), ASE),
    "alloy": (lambda: Atoms("CuAu", [[0, 0, 0], [1.9, 1.9, 1.9]], cell=[3.8] * 3, pbc=True), ASE),
    "palladium": (lambda: bulk("Pd", cubic=True), [*ASE, "--temperature", "77", "--beads", "4"]),
}


def test_the_systems_are_of_all_sorts() -> None:
    options = [" ".join(words) for _, words in SYSTEMS.values()]
    for word, least in {"--model": 5, "tblite": 5, EMT: 10, "": 20}.items():
        assert sum(word in words for words in options) >= least


def run_three_steps(folder: Path, ipi: Executor) -> Properties:
    """Run the input with i-PI in another process, and its client in this one."""
    xml = folder / "input.xml"
    text = re.sub(r"<total_steps> \d+", "<total_steps> 3", xml.read_text())
    xml.write_text(re.sub(r" stride='\d+'", " stride='1'", text))
    running = ipi.submit(run_ipi_in_this_process, folder)
    served = CliRunner().invoke(serve, [str(folder / "client.toml")])
    assert served.exit_code == 0, served.output
    running.result(timeout=60)
    properties = read_properties(folder / "simulation.out")
    assert properties["step"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert all(np.isfinite(values).all() for values in properties.values.values())
    return properties


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name, which is the address of the socket, nobody else uses."""
    path = tmp_path / f"own-{os.getpid()}"
    path.mkdir()
    return path


def make(name: str, folder: Path) -> None:
    """Make the inputs of a system in a folder."""
    atoms, options = SYSTEMS[name]
    if TIGHT_BINDING[1] in options:
        pytest.importorskip("tblite", reason="tblite is not installed: pip install '.[tblite]'")
    path = folder / "given.traj"
    ase.io.write(path, atoms())
    kind = [word for word in options[:1] if word in STRUCTURES]
    said = invoke(*kind, folder, "--structure", path, *options[len(kind) :])
    assert said.exit_code == 0, said.output + str(said.exception)
    assert "warning" not in said.output


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_made_for_a_structure_has_no_errors_and_runs(
    name: str, folder: Path, checks_in_one_process: None, reader: Executor
) -> None:
    make(name, folder)
    run_three_steps(folder, reader)
    expected = ase.io.read(folder / "given.traj").get_masses()
    content, _ = read_last(folder / "RESTART")
    assert content.masses is not None
    # i-PI's masses of elements are those of another year
    np.testing.assert_allclose(content.masses / DALTON, expected, rtol=1e-4)


def test_a_triclinic_crystal_at_constant_pressure_is_checked_again_and_changes_its_volume(
    folder: Path, checks_in_one_process: None, reader: Executor
) -> None:
    make("triclinic-copper", folder)
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    assert CliRunner().invoke(check, [*files, "--quiet"]).stdout == "no errors\n"
    volume = run_three_steps(folder, reader)["volume"]
    assert volume[0] == pytest.approx(sheared().get_volume() * ANGSTROM**3, rel=1e-6)
    assert len(set(volume)) == 4  # the barostat acts


def test_fixed_atoms_of_a_slab_with_several_beads_stay(
    folder: Path, checks_in_one_process: None, reader: Executor
) -> None:
    make("slab-of-vasp", folder)
    run_three_steps(folder, reader)
    first, last = (ase.io.read(folder / one) for one in ("init.xyz", "simulation.pos_0.xyz"))
    moved = np.abs(last.positions - first.positions).max(axis=1) > 1e-4  # i-PI writes six digits
    assert np.flatnonzero(~moved).tolist() == first.constraints[0].index.tolist()
    assert 0 < len(first.constraints[0].index) < len(first)
