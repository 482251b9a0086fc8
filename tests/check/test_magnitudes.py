"""Units that were left out, at the limits of what is possible and of what is usual."""

from __future__ import annotations

import itertools

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators import emt

from mlobs_client.check.initial_state import InitialState
from mlobs_client.check.magnitudes import check_state
from mlobs_client.check.physics import check_models
from mlobs_client.client.config import load_config
from mlobs_client.client.service import ClientFile
from mlobs_client.ipi import input as ipi_input

HARTREE = 27.211386246  # eV
KELVIN = 1.0 / 315775.024804  # Eh
FEMTOSECOND = 41.341373336  # atomic time
BOHR = 0.529177210544  # angstrom
DALTON = 1822.888486  # electron masses
PROTIUM, DEUTERIUM, OXYGEN = 1.008 * DALTON, 2.014 * DALTON, 15.999 * DALTON
EMT = 'kind = "ase"\ncalculator = "ase.calculators.emt.EMT"'
TOY = 'kind = "toy"\nname = "qtip4pf"'
LENNARD_JONES = 'kind = "ase"\ncalculator = "ase.calculators.lj.LennardJones"'


def judge_state(case, texts, level, masses=(OXYGEN, PROTIUM), **state):
    findings = check_state(ipi_input.read(case.input), InitialState(np.array(masses), **state))
    return texts(list(findings), level)


@pytest.mark.parametrize(
    ("kelvin", "level"),
    [
        (20_001.0, "error"),
        (19_999.0, "warning"),
        (5_001.0, "warning"),
        (4_999.0, None),
        (1.01, None),
        (0.99, "warning"),
        (0.0101, "warning"),
        (0.0099, "error"),
        (0.0, "error"),
        (300.0 / KELVIN, "error"),  # <temperature> 300: Hartree
    ],
)
def test_temperatures_are_judged_at_the_limits(case, texts, kelvin, level):
    case.replace(case.input, "'nve'", "'nvt'")
    state = {"temperatures": (kelvin * KELVIN,)}
    found = {one: judge_state(case, texts, one, **state) for one in ("error", "warning")}
    assert [one for one, said in found.items() if said] == ([level] if level else [])
    if level:
        assert "<temperature units='kelvin'>" in found[level][0]


def test_what_does_not_depend_on_temperature_may_have_any(case, texts):
    hot = {"temperatures": (300.0,)}
    case.replace(case.input, "<motion mode='dynamics'>", "<motion mode='vibrations'>")
    assert judge_state(case, texts, "error", **hot) == []
    assert "9.47325e+07 K" in judge_state(case, texts, "ok", **hot)[0]


def test_classical_dynamics_at_constant_energy_may_have_no_temperature(case, texts):
    case.replace(case.input, "nbeads='4'", "nbeads='1'")
    assert judge_state(case, texts, "error", temperatures=(0.0,)) == []


def test_velocities_of_hartree_are_an_error(case, texts):
    (error,) = judge_state(case, texts, "error", velocity_temperature=310.0)
    assert "<velocities units='kelvin'>" in error
    assert judge_state(case, texts, "error", velocity_temperature=400.0 * KELVIN) == []


@pytest.mark.parametrize(
    ("lightest", "femtoseconds", "words"),
    [
        (PROTIUM, 1.01, "more than 1 fs"),
        (PROTIUM, 0.99, None),
        (DEUTERIUM, 2.01, "more than 2 fs"),
        (DEUTERIUM, 1.99, None),
        (OXYGEN, 3.01, "more than 3 fs"),
        (OXYGEN, 2.99, None),
        (PROTIUM, 0.021, None),
        (PROTIUM, 0.5 / FEMTOSECOND, "0.01209 fs"),  # <timestep> 0.5: atomic time
    ],
)
def test_time_steps_are_judged_by_the_lightest_atom(case, texts, lightest, femtoseconds, words):
    masses = (OXYGEN, lightest)
    warnings = judge_state(case, texts, "warning", masses, timestep=femtoseconds * FEMTOSECOND)
    assert len(warnings) == (words is not None)
    assert words is None or words in warnings[0]


def use(case, atoms, potential=EMT):
    """The client file has these atoms; return what i-PI makes of the same."""
    for other in (TOY, EMT, LENNARD_JONES):
        case.client.write_text(case.client.read_text().replace(other, potential))
    ase.io.write(case.structure, atoms, format="extxyz")
    return case.parse(state=InitialState(atoms.get_masses() * DALTON))


@pytest.mark.parametrize(("ratio", "is_error"), [(0.449, True), (0.451, False)])
def test_atoms_closer_than_covalent_radii_allow_are_an_error(case, texts, ratio, is_error):
    # the nearest neighbour is in the next cell: 2 x 1.32 angstrom for copper (Cordero 2008)
    side = 2.64 * ratio
    atoms = Atoms("Cu2", [[0.1, 0, 0], [side + 4.0, 0, 0]], cell=[2 * side + 3.9, 9, 9], pbc=True)
    atoms.positions[1, 0] = atoms.cell[0, 0] - side + 0.1
    errors = texts(case.judge_structure(use(case, atoms)), "error")
    assert len(errors) == is_error
    assert not is_error or "(Cu1-Cu2)" in errors[0]


def test_lennard_jones_and_toys_are_exempt_from_distances(case, texts):
    near = Atoms("Cu2", [[0, 0, 0], [0.4, 0, 0]])
    far = Atoms("Cu2", [[0, 0, 0], [7.0, 0, 0]])
    for atoms, potential in itertools.product((near, far), (LENNARD_JONES, TOY)):
        findings = case.judge_structure(use(case, atoms, potential))
        assert texts(findings, "error") == texts(findings, "warning") == []


def test_no_pair_within_reach_of_a_bond_is_a_warning(case, texts):
    # 1.3 x 2 x 1.32 angstrom
    for distance, n_warnings in ((3.43, 0), (3.44, 1)):
        atoms = Atoms("Cu2", [[0, 0, 0], [distance, 0, 0]])
        warnings = texts(case.judge_structure(use(case, atoms)), "warning")
        assert len(warnings) == n_warnings


def test_density_and_shortest_distance_are_said(case, texts):
    atoms = bulk("Al", a=4.05)  # one atom: its neighbours are its images
    said = " ".join(texts(case.judge_structure(use(case, atoms)), "ok"))
    # 4 x 26.982 u in 4.05^3 angstrom^3; 4.05/sqrt(2)
    assert "a density of 2.698 g/cm^3" in said
    assert "a shortest distance of 2.864 angstrom (Al1-Al1)" in said


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (BOHR, "i-PI reads in bohr what the client reads in angstrom"),
        (1.009 * BOHR, "0.529 times"),
        (1.0 / BOHR, "i-PI reads in angstrom what the client reads in bohr"),
        (1.011 * BOHR, None),
        (1.0, None),
    ],
)
def test_bohr_against_angstrom_is_an_error_that_names_both(case, texts, factor, words):
    right = case.parse()
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turned = factor * right.positions @ rotation + 3.0
    errors = texts(case.judge_structure(case.parse(positions=turned)), "error")
    assert len(errors) == (words is not None)
    assert words is None or words in errors[0]


def test_a_cell_in_bohr_is_an_error_and_a_restart_is_not_asked(case, texts):
    case.replace(case.structure, "F F F", "T T T")
    smaller = case.parse(cell=BOHR * case.parse().cell)
    (error,) = texts(case.judge_structure(smaller), "error")
    assert error.startswith("the lattice vectors of input.xml")
    case.replace(case.input, "<total_steps>", "<step> 2 </step> <total_steps>")
    assert texts(case.judge_structure(smaller), "error") == []


def test_the_largest_force_is_that_of_the_first_structure_of_ipi(case, texts):
    use(case, Atoms("Cu2", [[0, 0, 0], [2.6, 0, 0]]))
    case.replace(case.client, '["dipole"]', "[]")
    case.replace(case.client, "structure =", 'virial = "none"\nstructure =')
    shorter = Atoms("Cu2", [[0, 0, 0], [2.3, 0, 0]], calculator=emt.EMT())
    start = case.parse(positions=shorter.positions / BOHR)
    findings = list(check_models(ClientFile(case.client, load_config(case.client)), None, start))
    force = np.linalg.norm(shorter.get_forces()[0])
    said = f"the largest force is {force:.4g} eV/angstrom, on Cu1"
    assert said in " ".join(texts(findings, "ok"))


def test_units_that_are_written_as_the_messages_say_leave_nothing_to_say(case, texts):
    theirs = case.folder / "theirs.xyz"
    _, _, *atoms = case.structure.read_text().splitlines()
    theirs.write_text("\n".join(["3", "# CELL(abcABC): 38 38 38 90 90 90", *atoms]))
    case.replace(case.input, "mode='ase'> init.xyz", "mode='xyz'> theirs.xyz")
    case.replace(case.input, "<temperature units='kelvin'>", "<temperature>")
    case.replace(case.input, "<timestep units='femtosecond'>", "<timestep>")
    findings = case.judge_all()
    temperature, sizes = texts(findings, "error")
    (step,) = texts(findings, "warning")
    for text, tag in ((temperature, "temperature units='kelvin'"), (step, "timestep units='femto")):
        assert f"-> write <{tag}" in text
    assert "write positions{angstrom} cell{angstrom} into the second line of the xyz file" in sizes
    case.replace(case.input, "<temperature>", "<temperature units='kelvin'>")
    case.replace(case.input, "<timestep>", "<timestep units='femtosecond'>")
    case.replace(theirs, "90 90 90", "90 90 90 positions{angstrom} cell{angstrom}")
    findings = case.judge_all()
    assert texts(findings, "error") == texts(findings, "warning") == []


def test_angstrom_that_both_files_call_bohr_by_silence_are_a_warning_that_names_units(case, texts):
    """A water molecule of 0.957 angstrom, read as 0.957 bohr by both: no factor between them."""
    parsed = use(case, Atoms("OH2", BOHR * np.array([[0, 0, 0], [0.957, 0, 0], [-0.24, 0.927, 0]])))
    (warning,) = texts(case.judge_structure(parsed), "warning")
    # 0.66 + 0.31 angstrom (Cordero 2008)
    assert "are 0.5064 angstrom (O1-H2) apart: 0.522 times the sum" in warning
    assert "xyz without positions{angstrom} cell{angstrom} in its second line is in bohr" in warning
    short = Atoms("OH", [[0, 0, 0], [0.61 * 0.97, 0, 0]])
    assert texts(case.judge_structure(use(case, short)), "warning") == []
