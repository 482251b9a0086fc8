"""MACE networks as evaluators: against differences, against MACE itself, against each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.stress import voigt_6_to_full_3x3_stress

from mlobs_client.client import config
from mlobs_client.client.build import assemble
from mlobs_client.errors import ConfigError, EvaluationError, ModelError
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.evaluate.model_files import load, quiet_third_parties, resolve, trust
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, DEBYE, EV

STEP = 1e-4  # bohr; errors of differences are its square, rounding is 1e-15 / STEP
ENERGY = frozenset({"energy"})
OXIDATION_NUMBERS = OxidationNumbers({"O": -2, "H": 1})


def several(network, kind: str, n: int = 2, **settings: object) -> dict[str, torch.nn.Module]:
    return {f"{kind}-{seed}": network(kind, seed, **settings) for seed in range(n)}


@pytest.fixture(scope="module")
def evaluator(network) -> MaceEvaluator:
    """Two potentials of different cutoffs, two dipoles, one polarizability."""
    first, second = network("potential", 0), network("potential", 1, r_max=3.0)
    return MaceEvaluator(
        mace.potential({"first": first, "second": second}),
        mace.dipole(several(network, "dipole"), oxidation_numbers=OXIDATION_NUMBERS),
        mace.polarizability({"only": network("dielectric", r_max=3.2)}),
    )


@pytest.fixture(scope="module")
def together(network) -> MaceEvaluator:
    """Two networks, each of which gives energy and dipole."""
    networks = several(network, "potential and dipole")
    return MaceEvaluator(
        potential_and_dipole=mace.potential_and_dipole(
            networks,
            alpha=1.7,
            dipole_alpha=0.6,
            unit="debye",
            oxidation_numbers=OXIDATION_NUMBERS,
        )
    )


@pytest.fixture(params=["box", "small cell", "molecule", "slab"])
def structure(request, water) -> Structure:
    return {
        "box": water(2, seed=1),
        "small cell": water(1, seed=2, length=5.0),  # smaller than the cutoff of 6.6
        "molecule": water(1, seed=3, pbc=(False, False, False)),
        "slab": water(2, seed=4, pbc=(True, False, True)),
    }[request.param]


@pytest.fixture
def beads(structure) -> list[Structure]:
    return three_beads(structure)


@pytest.fixture
def beads_in_a_box(water) -> list[Structure]:
    return three_beads(water(2, seed=1))


def three_beads(structure: Structure) -> list[Structure]:
    rng = np.random.default_rng(7)
    shape = structure.positions.shape
    return [
        replace(structure, positions=structure.positions + 0.1 * rng.normal(size=shape))
        for _ in range(3)
    ]


def displaced(structure: Structure, direction: np.ndarray) -> list[Structure]:
    return [
        replace(structure, positions=structure.positions + sign * STEP * direction)
        for sign in (1, -1)
    ]


def strained(structure: Structure, direction: np.ndarray) -> list[Structure]:
    strains = [np.eye(3) + sign * STEP * direction for sign in (1, -1)]
    return [
        replace(structure, positions=structure.positions @ e, cell=structure.cell @ e)
        for e in strains
    ]


def slopes(evaluator: MaceEvaluator, pairs: list[list[Structure]], name: str) -> np.ndarray:
    structures = [structure for pair in pairs for structure in pair]
    values = [v[name] for v in evaluator(structures, frozenset({name})).values]
    return (np.array(values[::2]) - np.array(values[1::2])) / (2 * STEP)


@pytest.mark.parametrize("name", ["energy", "energy_spread", "dipole", "polarizability"])
def test_gradients_are_those_of_central_differences(name, evaluator, beads) -> None:
    check_gradients(name, evaluator, beads)


@pytest.mark.parametrize("name", ["energy", "energy_spread", "dipole"])
def test_gradients_of_a_joint_network_are_those_of_central_differences(
    name, together, beads_in_a_box
) -> None:
    check_gradients(name, together, beads_in_a_box)


@pytest.mark.parametrize("name", ["dipole", "polarizability"])
def test_gradients_with_learned_charges_are_those_of_central_differences(
    name, network, water
) -> None:
    molecules = three_beads(water(2, seed=3, pbc=(False, False, False)))
    both = MaceEvaluator(
        dipole=mace.dipole({"it": network("dielectric")}),
        polarizability=mace.polarizability({"it": network("dielectric", 1)}),
    )
    check_gradients(name, both, molecules, frozenset({"dipole", "polarizability"}))


def check_gradients(
    name: str,
    evaluator: MaceEvaluator,
    beads: list[Structure],
    beside: frozenset[str] = frozenset(),
) -> None:
    rng = np.random.default_rng(0)
    evaluation = evaluator(beads, beside | {name})
    cotangents = [{name: rng.normal(size=np.shape(v[name]))} for v in evaluation.values]
    gradients = evaluation.pull_back(cotangents)
    ways = rng.normal(size=(len(beads), beads[0].n_atoms, 3))
    strains = rng.normal(size=(len(beads), 3, 3))
    moved = slopes(evaluator, [displaced(*p) for p in zip(beads, ways, strict=True)], name)
    pulled = slopes(evaluator, [strained(*p) for p in zip(beads, strains, strict=True)], name)
    for s, (cotangent, gradient) in enumerate(zip(cotangents, gradients, strict=True)):
        weight = cotangent[name]
        # relative 1e-6: STEP**2 times the third derivative; atol for sums that nearly cancel
        np.testing.assert_allclose(
            np.sum(gradient.positions * ways[s]), np.sum(weight * moved[s]), rtol=1e-6, atol=1e-8
        )
        np.testing.assert_allclose(
            np.sum(gradient.strain * strains[s]), np.sum(weight * pulled[s]), rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize(
    ("name", "of"),
    [("born_charges", "dipole"), ("polarizability_gradient", "polarizability")],
)
def test_large_observables_are_derivatives_of_small_ones(name, of, evaluator, beads) -> None:
    found = [values[name] for values in evaluator(beads, frozenset({name})).values]
    for bead, gradient in zip(beads, found, strict=True):
        units = np.eye(3 * bead.n_atoms).reshape(-1, bead.n_atoms, 3)
        differences = slopes(evaluator, [displaced(bead, unit) for unit in units], of)
        differences = differences.reshape(bead.n_atoms, 3, *differences.shape[1:])
        expected = np.moveaxis(differences, 1, -1)  # [I, ..., j]
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)


def test_forces_and_field_forces_come_from_one_pull_back(evaluator, beads) -> None:
    field = np.array([0.01, -0.02, 0.005])
    names = frozenset({"energy", "dipole"})
    evaluation = evaluator(beads, names)
    total = evaluation.pull_back([{"energy": np.ones(()), "dipole": -field}] * 3)
    forces = evaluation.pull_back([{"energy": np.ones(())}] * 3)
    charges = [v["born_charges"] for v in evaluator(beads, frozenset({"born_charges"})).values]
    for one, other, born in zip(total, forces, charges, strict=True):
        expected = other.positions - np.einsum("i,Iij->Ij", field, born)
        np.testing.assert_allclose(one.positions, expected, atol=1e-13)


def test_a_joint_network_gives_the_same_values_where_nothing_is_pulled_back(
    together, beads_in_a_box
) -> None:
    wanted = frozenset({"energy", "dipole"})
    first = together(beads_in_a_box, wanted, derivatives=False).values
    for one, other in zip(first, together(beads_in_a_box, wanted).values, strict=True):
        for name in wanted:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_joint_network_is_the_same_as_two_that_give_its_parts(
    network, together, beads_in_a_box
) -> None:
    kind = "potential and dipole"
    apart = MaceEvaluator(
        mace.potential(several(network, kind), alpha=1.7),
        mace.dipole(
            several(network, kind),
            alpha=0.6,
            unit="debye",
            oxidation_numbers=OXIDATION_NUMBERS,
        ),
    )
    assert apart.provides == together.provides
    first, second = (e(beads_in_a_box, apart.provides) for e in (apart, together))
    rng = np.random.default_rng(0)
    cotangents = [
        {"energy": rng.normal(), "energy_spread": rng.normal(), "dipole": rng.normal(size=3)}
        for _ in beads_in_a_box
    ]
    gradients = (first.pull_back(cotangents), second.pull_back(cotangents))
    for one, other in zip(first.values, second.values, strict=True):
        for name in apart.provides:
            np.testing.assert_allclose(other[name], one[name], atol=1e-12, err_msg=name)
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(other.positions, one.positions, atol=1e-12)
        np.testing.assert_allclose(other.strain, one.strain, atol=1e-12)


def test_a_field_on_a_joint_network_costs_one_way_back(
    together, beads_in_a_box, monkeypatch
) -> None:
    passes = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: passes.append(1) or grad(*a, **k))
    evaluation = together(beads_in_a_box, frozenset({"energy", "dipole"}))
    evaluation.pull_back([{"energy": np.ones(()), "dipole": np.ones(3)}] * 3)
    assert len(passes) == 1


def test_models_that_a_client_file_names_twice_are_evaluated_once(network, tmp_path: Path) -> None:
    with quiet_third_parties():
        torch.save(network("potential and dipole"), tmp_path / "both.model")
    trust(tmp_path / "both.model")
    ase.io.write(tmp_path / "init.xyz", molecule("H2O", vacuum=5.0))
    table = 'kind = "mace"\nmodels = ["both.model"]\n'
    numbers = "oxidation_numbers = { O = -2, H = 1 }\n"
    (tmp_path / "client.toml").write_text(
        f'structure = "init.xyz"\n[potential]\n{table}[dipole]\n{table}{numbers}'
    )
    assembly = assemble(config.load_config(tmp_path / "client.toml"), tmp_path)
    (evaluator,) = assembly.evaluators
    forward = AtomicNetwork.forward
    with mock.patch.object(AtomicNetwork, "forward", autospec=True, side_effect=forward) as calls:
        values = evaluator([assembly.structure], evaluator.provides & {"energy", "dipole"}).values
    assert calls.call_count == 1
    assert set(values[0]) == {"energy", "dipole"}


@pytest.mark.parametrize("kind", ["potential", "unscaled potential", "potential and dipole"])
def test_energy_forces_and_stress_are_those_of_the_calculator_of_mace(
    kind, network, structure
) -> None:
    model_type = "EnergyDipoleMACE" if kind == "potential and dipole" else "MACE"
    calculator, atoms = calculate(network(kind), model_type, structure)
    evaluation = MaceEvaluator(mace.potential({"it": network(kind)}))([structure], ENERGY)
    (gradient,) = evaluation.pull_back([{"energy": np.ones(())}])
    tolerance = 1e-10  # two orders of summation in float64
    energy = calculator.get_potential_energy(atoms) * EV
    np.testing.assert_allclose(evaluation.values[0]["energy"], energy, atol=tolerance)
    forces = calculator.get_forces(atoms) * EV / ANGSTROM
    np.testing.assert_allclose(-gradient.positions, forces, atol=tolerance)
    if all(structure.pbc):
        stress = voigt_6_to_full_3x3_stress(calculator.get_stress(atoms))
        strain = stress * atoms.get_volume() * EV
        np.testing.assert_allclose(gradient.strain, strain, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "model_type"),
    [("dipole", "DipoleMACE"), ("potential and dipole", "EnergyDipoleMACE")],
)
def test_dipoles_are_those_of_the_calculator_of_mace(kind, model_type, network, structure) -> None:
    calculator, atoms = calculate(network(kind), model_type, structure)
    evaluator = MaceEvaluator(dipole=mace.dipole({"it": network(kind)}, unit="debye"))
    (values,) = evaluator([structure], frozenset({"dipole"})).values
    expected = calculator.get_dipole_moment(atoms) * DEBYE
    np.testing.assert_allclose(values["dipole"], expected, atol=1e-10)


def test_dipole_and_polarizability_of_a_molecule_are_those_of_a_dielectric_model(
    network, water
) -> None:
    molecule = water(1, seed=3, pbc=(False, False, False))
    calculator, atoms = calculate(network("dielectric"), "DipolePolarizabilityMACE", molecule)
    calculator.calculate(atoms)
    evaluator = MaceEvaluator(
        dipole=mace.dipole({"it": network("dielectric")}),
        polarizability=mace.polarizability({"it": network("dielectric")}),
    )
    (values,) = evaluator([molecule], frozenset({"dipole", "polarizability"})).values
    np.testing.assert_allclose(
        values["dipole"], calculator.results["dipole"] * ANGSTROM, atol=1e-10
    )
    expected = calculator.results["polarizability"] * ANGSTROM**3
    np.testing.assert_allclose(values["polarizability"], expected, atol=1e-10)


def calculate(model: torch.nn.Module, kind: str, structure: Structure):
    from mace.calculators import MACECalculator

    default = torch.get_default_dtype()
    with quiet_third_parties():
        calculator = MACECalculator(
            models=[model], model_type=kind, device="cpu", default_dtype="float64"
        )
    torch.set_default_dtype(default)
    return calculator, Atoms(
        structure.numbers,
        structure.positions / ANGSTROM,
        cell=structure.cell / ANGSTROM,
        pbc=structure.pbc,
    )


def test_members_are_those_of_separate_evaluators_spread_out_by_alpha(
    network, beads_in_a_box
) -> None:
    networks = several(network, "potential", 3)
    together = MaceEvaluator(mace.potential(networks, alpha=2.0))
    wanted = frozenset({"energy", "energy_spread", "committee_energies", "committee_forces"})
    alone = [MaceEvaluator(mace.potential({name: networks[name]})) for name in networks]
    found = [one(beads_in_a_box, ENERGY) for one in alone]
    energies = np.array([[v["energy"] for v in one.values] for one in found])
    gradients = [one.pull_back([{"energy": np.ones(())}] * len(beads_in_a_box)) for one in found]
    for s, values in enumerate(together(beads_in_a_box, wanted).values):
        mean = energies[:, s].mean()
        spread_out = 2.0 * energies[:, s] - mean
        np.testing.assert_allclose(values["committee_energies"], spread_out, rtol=1e-13)
        np.testing.assert_allclose(values["energy"], mean, rtol=1e-13)
        expected = 2.0 * energies[:, s].std(ddof=1)
        np.testing.assert_allclose(values["energy_spread"], expected, rtol=1e-9)
        forces = np.array([-one[s].positions for one in gradients])
        np.testing.assert_allclose(
            values["committee_forces"], 2.0 * forces - forces.mean(axis=0), atol=1e-13
        )


def test_structures_of_any_kind_in_one_batch_are_the_same_as_alone(evaluator, water) -> None:
    structures = [
        water(2, seed=1),
        water(1, seed=2, length=5.0),
        water(3, seed=3, pbc=(False, False, False)),
        water(2, seed=4, pbc=(True, False, True)),
    ]
    rng = np.random.default_rng(0)
    cotangents = [{"energy": rng.normal(), "dipole": rng.normal(size=3)} for _ in structures]
    wanted = evaluator.provides
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        batch = evaluator([structures[s] for s in order], wanted)
        gradients = batch.pull_back([cotangents[s] for s in order])
        for s, values, gradient in zip(order, batch.values, gradients, strict=True):
            alone = evaluator([structures[s]], wanted)
            for name in wanted:
                np.testing.assert_allclose(values[name], alone.values[0][name], atol=1e-12)
            (own,) = alone.pull_back([cotangents[s]])
            np.testing.assert_allclose(gradient.positions, own.positions, atol=1e-12)
            np.testing.assert_allclose(gradient.strain, own.strain, atol=1e-12)


def test_renumbering_the_atoms_renumbers_the_forces(evaluator, water) -> None:
    structure = water(3, seed=1)
    order = np.random.default_rng(0).permutation(structure.n_atoms)
    shuffled = replace(
        structure, numbers=structure.numbers[order], positions=structure.positions[order]
    )
    evaluation = evaluator([structure, shuffled], frozenset({"energy", "born_charges"}))
    first, second = evaluation.values
    np.testing.assert_allclose(second["energy"], first["energy"], atol=1e-12)
    np.testing.assert_allclose(second["born_charges"], first["born_charges"][order], atol=1e-12)


def test_the_skin_changes_nothing(network, beads_in_a_box) -> None:
    committee = mace.potential(several(network, "potential"))
    names = frozenset({"energy", "committee_forces"})
    thin, thick = (
        MaceEvaluator(committee, skin=skin)(beads_in_a_box, names) for skin in (0.0, 3.0)
    )
    for one, other in zip(thin.values, thick.values, strict=True):
        np.testing.assert_allclose(one["energy"], other["energy"], atol=1e-13)
        np.testing.assert_allclose(one["committee_forces"], other["committee_forces"], atol=1e-13)


def test_reused_neighbour_lists_give_the_numbers_of_new_ones(network, water) -> None:
    structure = water(2, seed=1)
    rng = np.random.default_rng(0)
    committee = mace.potential({"it": network("potential")})
    kept = MaceEvaluator(committee)
    for _ in range(10):
        structure = displaced(structure, rng.normal(size=structure.positions.shape) / STEP / 30)[0]
        new = MaceEvaluator(committee, skin=0.0)
        one, other = (e([structure], ENERGY).values[0] for e in (kept, new))
        np.testing.assert_allclose(one["energy"], other["energy"], atol=1e-13)


def test_a_lone_atom_has_its_own_energy_and_no_force(evaluator, water) -> None:
    molecule = water(1, pbc=(False, False, False))
    atom = replace(molecule, numbers=np.array([8]), positions=np.array([[1e6, 0.0, 3.0]]))
    evaluation = evaluator([atom], evaluator.provides)
    # no neighbours, but with scale and shift MACE is not exactly at the energy of the free atom
    assert np.isfinite(evaluation.values[0]["energy"])
    (gradient,) = evaluation.pull_back([{"energy": np.ones(()), "dipole": np.zeros(3)}])
    np.testing.assert_array_equal(gradient.positions, np.zeros((1, 3)))
    born = evaluation.values[0]["born_charges"][0]
    np.testing.assert_allclose(born, -2.0 * np.eye(3), atol=1e-14)


def test_far_unwrapped_atoms_cost_no_precision_even_in_float32(network, water) -> None:
    structure = water(2, seed=1)
    shifts = np.random.default_rng(0).integers(-1000, 1000, size=(6, 3)) @ structure.cell
    far = replace(structure, positions=structure.positions + shifts)
    evaluator = MaceEvaluator(
        mace.potential({"it": network("potential")}, setting=mace.Setting("float32"))
    )
    evaluation = evaluator([structure, far], ENERGY)
    near_gradient, far_gradient = evaluation.pull_back([{"energy": np.ones(())}] * 2)
    # float32 rounds at 6e-8; positions of 10000 bohr in float32 would be off by 1e-3
    np.testing.assert_allclose(far_gradient.positions, near_gradient.positions, atol=1e-6)


def test_float32_is_close_to_float64(network, beads_in_a_box) -> None:
    names = frozenset({"energy", "dipole"})
    results = [
        MaceEvaluator(
            mace.potential(several(network, "potential"), setting=mace.Setting(dtype)),
            mace.dipole(several(network, "dipole"), setting=mace.Setting(dtype)),
        )(beads_in_a_box, names)
        for dtype in ("float32", "float64")
    ]
    single, double = (
        r.pull_back([{"energy": np.ones(()), "dipole": np.ones(3)}] * 3) for r in results
    )
    for one, other in zip(single, double, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-5)
        assert one.positions.dtype == np.float64
        assert np.abs(one.positions - other.positions).max() > 0


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_the_default_precision_of_torch_does_not_matter(default, network, water) -> None:
    structure = water(2, seed=1)
    evaluator = MaceEvaluator(
        mace.potential({"it": network("unscaled potential")}),
        mace.dipole({"it": network("dipole")}),
        mace.polarizability({"it": network("dielectric")}),
    )
    expected = evaluator([structure], evaluator.provides).values[0]
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        found = evaluator([structure], evaluator.provides).values[0]
    finally:
        torch.set_default_dtype(before)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_without_derivatives_the_values_are_the_same(evaluator, beads_in_a_box) -> None:
    names = frozenset({"energy", "dipole", "polarizability"})
    plain = evaluator(beads_in_a_box, names, derivatives=False)
    for one, other in zip(plain.values, evaluator(beads_in_a_box, names).values, strict=True):
        for name in names:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-13)
    derived = evaluator(beads_in_a_box, frozenset({"born_charges"}), derivatives=False)
    assert derived.values[0]["born_charges"].shape == (beads_in_a_box[0].n_atoms, 3, 3)


def test_only_what_committees_give_is_provided(network) -> None:
    potential = mace.potential({"it": network("potential")})
    assert MaceEvaluator(potential).provides == {
        "energy", "committee_energies", "committee_forces", "committee_virials",
    }  # fmt: skip
    assert "energy" not in MaceEvaluator(dipole=mace.dipole({"it": network("dipole")})).provides


def test_a_cutoff_larger_than_a_cell_that_is_not_periodic_is_refused(evaluator, water) -> None:
    structure = water(1, pbc=(True, True, False))
    low = replace(structure, cell=structure.cell * [[1.0], [1.0], [0.3]])
    with pytest.raises(EvaluationError, match=r"vector 3, which is not periodic.*3\.50 "):
        evaluator([low], frozenset({"energy"}))


def test_unknown_species_are_named(evaluator, water) -> None:
    structure = replace(water(1), numbers=np.array([8, 1, 11]))
    with pytest.raises(EvaluationError, match="know H, O, not Na"):
        evaluator([structure], ENERGY)


@pytest.mark.parametrize(
    ("make", "kind", "right"),
    [
        (mace.potential, "dipole", "MACE or ScaleShiftMACE"),
        (mace.dipole, "potential", "AtomicDipolesMACE"),
        (mace.polarizability, "dipole", "AtomicDielectricMACE"),
    ],
)
def test_a_model_in_the_wrong_role_is_refused_by_name(make, kind, right, network) -> None:
    with pytest.raises(ModelError, match=f"this.model: .*{right}"):
        make({"this.model": network(kind)})


def test_members_for_different_species_are_refused(network) -> None:
    other = network("potential", 1, atomic_numbers=[1, 6])
    with pytest.raises(ModelError, match="b was made for H, C, but a for H, O"):
        mace.potential({"a": network("potential"), "b": other})


def test_models_with_several_heads_are_refused(network) -> None:
    several_heads = network("unscaled potential", heads=["dft", "cc"])
    with pytest.raises(ModelError, match=r"heads dft, cc.*mace_select_head"):
        mace.potential({"it": several_heads})


@pytest.mark.parametrize("make", [mace.dipole, mace.polarizability])
def test_unknown_units_are_refused(make, network) -> None:
    with pytest.raises(ConfigError, match="'furlong'"):
        make({"it": network("dielectric")}, unit="furlong")


BUNDLED = Path(__file__).parents[3] / "mlobs_client" / "models" / "water"


def test_the_bundled_models_give_a_physical_water_molecule() -> None:
    def networks(kind: str) -> dict[str, torch.nn.Module]:
        return {p.name: load(p) for p in resolve([f"bundled:water/{kind}-*"], Path())}

    evaluator = MaceEvaluator(
        mace.potential(networks("potential")),
        mace.dipole(networks("dipole"), oxidation_numbers=OXIDATION_NUMBERS),
        mace.polarizability(networks("polarizability")),
    )
    positions = np.array([[0.0, 0.0, 0.0], [0.757, 0.586, 0.0], [-0.757, 0.586, 0.0]]) * ANGSTROM
    molecule = Structure(np.array([8, 1, 1]), positions, np.zeros((3, 3)), (False,) * 3)
    evaluation = evaluator([molecule], evaluator.provides)
    values = evaluation.values[0]
    # between the molecule's 1.85 D and the liquid's 3 D, along the axis of symmetry, towards H
    np.testing.assert_allclose(values["dipole"][[0, 2]], 0.0, atol=1e-10)
    assert 1.5 < values["dipole"][1] / DEBYE < 3.5
    assert 1.0 < np.trace(values["polarizability"]) / 3 / ANGSTROM**3 < 2.0
    (gradient,) = evaluation.pull_back([{"energy": np.ones(())}])
    assert np.abs(gradient.positions).max() < 0.1
    np.testing.assert_allclose(gradient.positions.sum(axis=0), 0.0, atol=1e-12)


def test_large_structures_are_evaluated_one_by_one_and_the_size_of_batches_stays(network) -> None:
    evaluator = MaceEvaluator(mace.potential({"it": network("potential")}), max_edges=100)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) * 3.0
    dense = Structure(np.full(27, 8), grid, 9.0 * np.eye(3))
    assert evaluator.preferred_batch_size([dense] * 4) == 1
    pair = Structure(np.array([8, 1]), grid[:2], 90.0 * np.eye(3))
    assert evaluator.preferred_batch_size([pair] * 4) == 50
    apart = replace(pair, positions=20.0 * pair.positions)
    assert evaluator.preferred_batch_size([apart] * 4) == 50


def test_a_given_batch_overrides_the_estimate_from_edges(network) -> None:
    potential = mace.potential({"it": network("potential")})
    evaluator = MaceEvaluator(potential, max_edges=1, batch=3)
    pair = Structure(np.array([8, 1]), np.array([[0.0, 0, 0], [1.8, 0, 0]]), 20.0 * np.eye(3))
    assert evaluator.preferred_batch_size([pair] * 4) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_gpu_gives_the_numbers_of_the_cpu(dtype, network, beads_in_a_box) -> None:
    found = []
    for device in ("cpu", "cuda"):
        evaluator = MaceEvaluator(
            mace.potential(several(network, "potential"), setting=mace.Setting(dtype, device)),
            mace.dipole(
                several(network, "dipole"),
                oxidation_numbers=OXIDATION_NUMBERS,
                setting=mace.Setting(dtype, device),
            ),
        )
        evaluation = evaluator(beads_in_a_box, evaluator.provides)
        cotangents = [{"energy": np.ones(()), "dipole": np.array([0.1, -0.2, 0.3])}] * 3
        found.append((evaluation.values, evaluation.pull_back(cotangents)))
    tolerance = 1e-10 if dtype == "float64" else 1e-4  # sums in another order
    for one, other in zip(*(values for values, _ in found), strict=True):
        for name in one:
            np.testing.assert_allclose(other[name], one[name], atol=tolerance, err_msg=name)
    for one, other in zip(*(gradients for _, gradients in found), strict=True):
        np.testing.assert_allclose(other.positions, one.positions, atol=tolerance)
        np.testing.assert_allclose(other.strain, one.strain, atol=tolerance)
