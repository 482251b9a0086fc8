"""The client as an ASE calculator: its numbers, what ASE does with them, and other atoms."""

from __future__ import annotations

import copy
import doctest
import json
import pickle
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import FrechetCellFilter
from ase.md import VelocityVerlet
from ase.optimize import BFGS
from ase.vibrations import Infrared
from calibrations import copy_models, quantity
from client_files import DIPOLE, FORMAL, WATER

from mlobs_client import calculator
from mlobs_client.client import ase_calculator
from mlobs_client.client.config import ClientConfig, parse
from mlobs_client.client.session import ClientSession
from mlobs_client.errors import ConfigError, EvaluationError, MissingObservable
from mlobs_client.evaluate.card import write_card
from mlobs_client.evaluate.toys import HarmonicCrystal
from mlobs_client.units import ANGSTROM, EV

CELL = np.array([[7.0, 0.3, 0.1], [-0.4, 6.5, 0.2], [0.5, -0.3, 7.2]])  # angstrom, triclinic
SITES = np.array([[0.1, 0.2, 0.3], [2.0, 1.0, 3.0], [4.0, 3.5, 1.0]])  # angstrom
FIELD = {"vector": [0.2, -0.1, 0.3], "unit": "V/angstrom"}
EMT_TABLE = (
    'structure = "init.xyz"\n[potential]\nkind = "ase"\ncalculator = "ase.calculators.emt.EMT"\n'
)


def crystal() -> Atoms:
    noise = np.random.default_rng(3).normal(scale=0.05, size=SITES.shape)
    return Atoms("OHH", SITES + noise, cell=CELL, pbc=True)


def content(**more: Any) -> dict[str, Any]:
    """A client file of a crystal with tensors that are not symmetric; its sites follow the cell."""
    random = np.random.default_rng(1)
    root = 0.1 * random.normal(size=(9, 9))
    parameters = {
        "sites": (SITES * ANGSTROM).tolist(),
        "hessian": (root @ root.T + 0.05 * np.eye(9)).tolist(),
        "born_charges": random.normal(size=(3, 3, 3)).tolist(),
        "polarizability": (random.normal(size=(3, 3)) + 9.0 * np.eye(3)).tolist(),
        "polarizability_gradient": random.normal(size=(3, 3, 3, 3)).tolist(),
        "reference_cell": (CELL * ANGSTROM).tolist(),
    }
    toy = {"kind": "toy", "name": "harmonic_crystal", "parameters": parameters}
    return {"structure": "init.xyz", "potential": toy, **more}


def client(folder: Path, **more: Any) -> ClientConfig:
    ase.io.write(folder / "init.xyz", crystal(), format="extxyz")
    return parse(content(**more), "client.toml")


def written(folder: Path, text: str, atoms: Atoms) -> Path:
    ase.io.write(folder / "init.xyz", atoms, format="extxyz")
    (folder / "client.toml").write_text(text)
    return folder / "client.toml"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """What the crystal was asked for, by evaluation."""
    calls: list[frozenset[str]] = []
    evaluate = HarmonicCrystal.__call__

    def counting(self: HarmonicCrystal, structures: Any, wanted: frozenset[str], **how: Any) -> Any:
        calls.extend([wanted] * len(structures))
        return evaluate(self, structures, wanted, **how)

    monkeypatch.setattr(HarmonicCrystal, "__call__", counting)
    return calls


ALL = {"extras": ["dipole", "born_charges", "polarizability_gradient"]}


@pytest.mark.parametrize("more", [{}, {"second_order": True}, {"reduced": True}], ids=str)
def test_it_gives_what_i_pi_gets_in_the_units_of_ase(tmp_path: Path, more: dict[str, Any]) -> None:
    config = client(tmp_path, field=FIELD | more, observables=ALL)
    atoms = crystal()
    atoms.calc = calculator(config, tmp_path)
    with ClientSession(config, atoms.calc._assembly, tmp_path / "record.h5", {}) as answer:
        (reply,) = answer(CELL[None] * ANGSTROM, atoms.positions[None] * ANGSTROM)
    assert atoms.get_potential_energy() == reply.energy / EV
    assert atoms.get_potential_energy(force_consistent=True) == reply.energy / EV
    assert (atoms.get_forces() == reply.forces / (EV / ANGSTROM)).all()
    stress = -reply.virial / EV / atoms.get_volume()
    # two roundings of the volume
    assert atoms.get_stress(voigt=False) == pytest.approx((stress + stress.T) / 2, rel=1e-13)
    sent = json.loads(reply.extras)
    # 1e-6: digits of the extras
    assert atoms.get_dipole_moment() == pytest.approx(np.array(sent["dipole"]) / ANGSTROM, rel=1e-6)
    assert set(atoms.calc.results) >= {"born_charges", "polarizability_gradient", "dipole"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"field": FIELD | {"second_order": True}},
        {"field": FIELD | {"reduced": True}},
        {"displacement": FIELD},
    ],
    ids=["no field", "second order", "reduced", "displacement"],
)
def test_its_derivatives_are_those_of_its_energy(tmp_path: Path, more: dict[str, Any]) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, **more), tmp_path)
    # differences of the second order, and of energies of some eV in double precision
    forces = calculate_numerical_forces(atoms, eps=1e-4)
    assert atoms.get_forces() == pytest.approx(forces, abs=1e-7)
    stress = calculate_numerical_stress(atoms, eps=1e-4)
    assert np.abs(stress).max() > 1e-4
    assert atoms.get_stress() == pytest.approx(stress, abs=1e-8)


def test_nothing_is_evaluated_twice_for_atoms_that_did_not_change(
    tmp_path: Path, counted: list[frozenset[str]]
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, field=FIELD, observables=ALL), tmp_path)
    assert counted == []
    for _ in range(2):
        atoms.get_forces()
        atoms.get_potential_energy()
        atoms.get_stress()
        atoms.get_dipole_moment()
        atoms.calc.get_property("born_charges", atoms)
        atoms.set_initial_charges([1.0, 2.0, 3.0])  # no model knows these
    assert len(counted) == 1


def test_what_is_asked_for_later_is_evaluated_without_the_rest(
    tmp_path: Path, counted: list[frozenset[str]]
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path), tmp_path)
    atoms.get_forces()
    atoms.get_dipole_moment()
    atoms.get_dipole_moment()
    assert counted == [{"energy"}, {"dipole"}]
    assert set(atoms.calc.results) == {"energy", "free_energy", "forces", "stress", "dipole"}


@pytest.mark.parametrize("change", ["positions", "cell", "pbc", "numbers"])
def test_everything_is_evaluated_for_atoms_that_changed(
    tmp_path: Path, counted: list[frozenset[str]], change: str
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path), tmp_path)
    atoms.get_dipole_moment()
    if change == "positions":
        atoms.positions[1, 2] += 1e-9
    elif change == "cell":
        atoms.cell[1, 2] += 1e-9
    elif change == "pbc":
        atoms.pbc = (True, True, False)
    else:
        atoms.numbers[0] = 16
    assert atoms.calc.get_property("dipole", atoms, allow_calculation=False) is None
    atoms.get_forces()
    assert counted == [{"energy", "dipole"}, {"energy"}]
    assert "dipole" not in atoms.calc.results


def test_an_observable_that_no_model_gives_is_named_with_those_that_they_give(
    tmp_path: Path,
) -> None:
    atoms = molecule("CO")
    atoms.calc = calculator(written(tmp_path, EMT_TABLE, atoms))
    with pytest.raises(
        PropertyNotImplementedError, match=r"gives charges; it gives energy, forces"
    ):
        atoms.get_charges()
    with pytest.raises(PropertyNotImplementedError, match="gives charges; it gives energy"):
        atoms.get_properties(["charges"])


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_atoms_that_are_not_periodic_in_all_directions_have_no_stress(
    tmp_path: Path, pbc: Any, counted: list[frozenset[str]]
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path), tmp_path)
    atoms.pbc = pbc
    for _ in range(2):
        with pytest.raises(PropertyNotImplementedError, match="periodic in all directions"):
            atoms.get_stress()
    assert len(counted) == 1
    assert np.isfinite(atoms.get_potential_energy())


def test_models_without_a_strain_derivative_have_no_stress(tmp_path: Path) -> None:
    config = content()
    del config["potential"]["parameters"]["reference_cell"]
    ase.io.write(tmp_path / "init.xyz", crystal(), format="extxyz")
    atoms = crystal()
    atoms.calc = calculator(parse(config, "client.toml"), tmp_path)
    with pytest.raises(PropertyNotImplementedError, match="a strain derivative"):
        atoms.get_stress()


def test_members_and_spread_come_with_the_energy_calibrated_and_watched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = copy_models(tmp_path, 2, "potential")
    write_card(paths, {"energy": quantity(3.0, largest=1e-6)})
    atoms = molecule("H2O")
    text = WATER.replace("bundled:water/potential-[01]", "potential-?.model")
    atoms.calc = calculator(str(written(tmp_path, text, atoms)))
    energy = atoms.get_potential_energy()
    members = atoms.calc.results["committee_energies"]
    assert atoms.calc.results["energy_spread"] == pytest.approx(np.std(members, ddof=1))
    assert "structures like this one were not in frames.extxyz" in caplog.text
    for k in range(2):
        single = calculator(written(tmp_path, text.replace("?", str(k)), atoms))
        # alpha spreads the members out about their mean; 1e-9: of sums of some 500 eV
        difference = single.get_potential_energy(atoms) - energy
        assert members[k] - energy == pytest.approx(3.0 * difference, abs=1e-9)
    forces = atoms.calc.get_property("committee_forces", atoms)
    # the alpha of members leaves their mean
    assert forces.mean(axis=0) == pytest.approx(atoms.get_forces(), abs=1e-9)


def test_a_client_file_without_forces_gives_observables_only(tmp_path: Path) -> None:
    text = FORMAL.replace('[potential]\nkind = "toy"\nname = "qtip4pf"\n', "")
    atoms = molecule("H2O")
    atoms.calc = calculator(written(tmp_path, text, atoms))
    expected = atoms.positions.T @ [-2, 1, 1]
    assert atoms.get_dipole_moment() == pytest.approx(expected, abs=1e-14)  # rounding
    with pytest.raises(PropertyNotImplementedError, match="gives energy; it gives born_charges"):
        atoms.get_potential_energy()


def test_what_a_table_needs_and_no_model_gives_is_said_before_anything_is_evaluated(
    tmp_path: Path,
) -> None:
    text = EMT_TABLE + '[observables]\nextras = ["dipole"]\n'
    with pytest.raises(MissingObservable, match="no model of this client gives dipole"):
        calculator(written(tmp_path, text, molecule("CO")))


def test_the_example_in_the_docstring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, f'{WATER}{DIPOLE}[observables]\nrecord = ["dipole"]\n', molecule("H2O"))
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(ase_calculator).failed == 0


def test_beyond_the_limits_of_the_client_file_there_is_no_result(tmp_path: Path) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, limits={"force": 0.01}), tmp_path)
    for _ in range(2):  # atoms that were refused are refused again
        with pytest.raises(EvaluationError, match=r"more than \[limits\] force = 0.01"):
            atoms.get_potential_energy()
        assert atoms.calc.results == {}


def test_copies_share_the_models_but_not_the_results(
    tmp_path: Path, counted: list[frozenset[str]]
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path), tmp_path)
    energy = atoms.get_potential_energy()
    twin = copy.deepcopy(atoms)
    assert twin.get_potential_energy() == energy
    assert len(counted) == 1
    twin.positions[0, 0] += 0.1
    assert twin.get_potential_energy() != energy
    assert atoms.get_potential_energy() == energy
    assert len(counted) == 2


def test_a_pickle_has_results_and_goes_on(tmp_path: Path, counted: list[frozenset[str]]) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, field=FIELD), tmp_path)
    forces = atoms.get_forces()
    again = pickle.loads(pickle.dumps(atoms))
    assert (again.get_forces() == forces).all()
    assert len(counted) == 1
    again.positions += 0.01
    assert (again.get_forces() != forces).any()


@pytest.mark.parametrize("name", ["x.extxyz", "x.traj"])
def test_atoms_are_written_with_results(tmp_path: Path, name: str) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, field=FIELD, observables=ALL), tmp_path)
    forces = atoms.get_forces()
    atoms.write(tmp_path / name)
    read = ase.io.read(tmp_path / name)
    assert isinstance(read, Atoms)
    # 1e-8: digits of extended xyz
    assert read.get_forces() == pytest.approx(forces, abs=1e-8)
    assert read.get_stress() == pytest.approx(atoms.get_stress(), abs=1e-8)
    assert read.get_dipole_moment() == pytest.approx(atoms.get_dipole_moment(), abs=1e-8)


@pytest.mark.parametrize("rule", ["", 'sum_rule = "restore"\n'])
def test_species_and_their_number_are_those_of_the_atoms(tmp_path: Path, rule: str) -> None:
    text = FORMAL.replace("H = 1", "H = 2") + f'[observables]\nextras = ["born_charges"]\n{rule}'
    calc = calculator(written(tmp_path, text, molecule("H2O")))
    one, two = molecule("H2O"), molecule("H2O") + molecule("H2O")
    two.positions[3:] += 1e4
    # 1e-7 eV: of two dipoles so far away
    assert calc.get_potential_energy(two) == pytest.approx(
        2.0 * calc.get_potential_energy(one), abs=1e-7
    )
    charges = calc.get_property("born_charges", two)
    # the rule for one molecule would take half of the charge away
    assert charges == pytest.approx(np.multiply.outer([-2, 2, 2] * 2, np.eye(3)), abs=1e-14)


@pytest.mark.parametrize(
    ("numbers", "atoms", "said"),
    [
        ("{ O = -2, H = 1 }", molecule("CO"), "oxidation_numbers says nothing about C"),
        (
            "[-2, 1, 1]",
            Atoms("HOH", molecule("H2O").positions),
            "atom 0 is H here and O in the client",
        ),
        ("[-2, 1, 1]", molecule("OH"), "oxidation_numbers has 3 numbers for 2 atoms"),
    ],
    ids=["species", "order", "number"],
)
def test_oxidation_numbers_that_do_not_fit_the_atoms_are_one_clear_error(
    tmp_path: Path, numbers: str, atoms: Atoms, said: str
) -> None:
    table = f'[dipole]\nkind = "toy"\noxidation_numbers = {numbers}\n'
    calc = calculator(written(tmp_path, EMT_TABLE + table, molecule("H2O")))
    with pytest.raises(ConfigError, match=said):
        calc.get_potential_energy(atoms)


def test_a_learned_dipole_is_checked_for_atoms_that_became_periodic(tmp_path: Path) -> None:
    text = FORMAL.replace(
        '"toy"\noxidation_numbers = { O = -2, H = 1 }',
        '"mace"\nmodels = ["bundled:water/dipole-0"]',
    )
    atoms = molecule("H2O")
    atoms.calc = calculator(written(tmp_path, text, atoms))
    assert np.linalg.norm(atoms.get_dipole_moment()) > 0.1
    atoms.set_cell([9.0, 9.0, 9.0])
    atoms.pbc = True
    with pytest.raises(ConfigError, match="periodic structure has no oxidation_numbers"):
        atoms.get_dipole_moment()


def test_a_displacement_needs_atoms_that_are_periodic(tmp_path: Path) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, displacement=FIELD), tmp_path)
    atoms.pbc = False
    with pytest.raises(ConfigError, match=r"\[displacement\].*set atoms.cell and atoms.pbc"):
        atoms.get_potential_energy()


def test_the_cell_of_reduced_is_that_of_the_client_file_for_other_species_too(
    tmp_path: Path,
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, field=FIELD | {"reduced": True}), tmp_path)
    atoms.set_cell(1.1 * CELL)
    energy = atoms.get_potential_energy()
    atoms.numbers[0] = 16  # the toy knows no species
    assert atoms.get_potential_energy() == energy


def test_atoms_that_were_wrapped_in_a_field_are_refused_until_they_are_forgotten(
    tmp_path: Path,
) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, field=FIELD), tmp_path)
    energy = atoms.get_potential_energy()
    atoms.positions[1] += atoms.cell[0]
    with pytest.raises(EvaluationError, match=r"atom 1 jumped by \+1 .* calc.reset"):
        atoms.get_potential_energy()
    atoms.calc.reset()
    # charges of this toy are those of the nearest site: no quantum is left of the way
    assert atoms.get_potential_energy() == pytest.approx(energy)


def test_properties_that_ase_has_a_name_for_are_exported(tmp_path: Path) -> None:
    atoms = crystal()
    atoms.calc = calculator(client(tmp_path, observables=ALL), tmp_path)
    assert set(atoms.get_properties(["energy"])) == {
        *("energy", "free_energy", "forces", "stress", "dipole", "natoms")
    }


def test_a_crystal_is_relaxed_with_its_cell(tmp_path: Path) -> None:
    atoms = bulk("Cu")
    strain = np.array([[0.02, 0.01, 0.0], [0.01, -0.02, 0.0], [0.0, 0.0, 0.01]])
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    atoms.calc = calculator(written(tmp_path, EMT_TABLE, atoms))
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=100)
    best = bulk("Cu", a=3.589825)
    best.calc = EMT()
    assert atoms.get_potential_energy() == pytest.approx(best.get_potential_energy(), abs=1e-6)
    # 1e-3: by fmax = 1e-4
    assert atoms.get_volume() == pytest.approx(best.get_volume(), rel=1e-3)


def test_a_trajectory_in_a_field_conserves_the_energy(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    path = written(
        tmp_path, f"{FORMAL}[field]\nvector = [0, 0.1, 0.2]\nunit = 'V/angstrom'\n", atoms
    )
    atoms.calc = calculator(path)
    totals = []
    dynamics = VelocityVerlet(atoms, 0.1 * units.fs)
    dynamics.attach(lambda: totals.append(atoms.get_total_energy()))
    dynamics.run(100)
    kinetic = atoms.get_kinetic_energy()
    assert kinetic > 0.01
    assert np.ptp(totals) < 5e-3 * kinetic  # of the second order in the time step, not a drift


def test_vibrations_and_infrared_intensities_are_those_of_the_morse_molecule(
    tmp_path: Path,
) -> None:
    morse = 'structure = "init.xyz"\n[potential]\nkind = "toy"\nname = "morse_molecule"\n'
    atoms = Atoms("OH", [[0, 0, 0], [0, 0, 0.96966]])
    atoms.calc = calculator(written(tmp_path, morse, atoms))
    found = Infrared(atoms, name=str(tmp_path / "infrared"), delta=1e-3)
    found.run()
    mass = atoms.get_masses().prod() / atoms.get_masses().sum()
    constant = 2.0 * 5.101744 * 2.1930272**2  # eV/angstrom^2
    omega = units._hbar * 1e10 * np.sqrt(constant / mass / units._e / units._amu)
    # relative errors of differences are (2.19 delta)^2, about
    assert found.get_energies()[-1].real == pytest.approx(omega, rel=1e-5)
    bond, screening = 0.96966, 3.0 * units.Bohr
    slope = np.exp(-bond / screening) * (1.0 - bond / screening)  # d dipole/dr, e
    intensity = slope**2 / mass / units.Debye**2
    assert found.intensities[-1] == pytest.approx(intensity, rel=1e-5)
