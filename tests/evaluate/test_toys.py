"""The toys against quadrature, DVR and published numbers: they are the ruler for the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlobs_client.checks import check_evaluator, check_translations
from mlobs_client.errors import ConfigError, EvaluationError, MissingObservable
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.toys import (
    TOYS,
    ChargedOscillators,
    HarmonicCrystal,
    MorseMolecule,
    Qtip4pf,
    double_well,
    eckart,
    make_toy,
    morse_wall,
    random_crystal,
)
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM, DALTON, EV, INVERSE_CM, KELVIN

MILLI_EV = 1e-3 * EV
ENERGY = frozenset({"energy"})
TRICLINIC = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
WATER = np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 1.8], [1.7, -0.1, -0.5]])


def free(numbers: list[int], positions: Array) -> Structure:
    return Structure(np.array(numbers), positions, np.zeros((3, 3)), (False, False, False))


def crystal_site() -> Structure:
    positions = np.random.default_rng(1).normal(size=(3, 3)) * 2.0
    return Structure(np.array([1, 2, 3]), positions, TRICLINIC)


def displaced(structure: Structure, size: float = 0.2) -> Structure:
    shift = np.random.default_rng(2).normal(size=structure.positions.shape) * size
    return Structure(structure.numbers, structure.positions + shift, structure.cell, structure.pbc)


def oscillators(reference_cell: Array | None = TRICLINIC) -> ChargedOscillators:
    random = np.random.default_rng(3)
    return ChargedOscillators(
        crystal_site().positions,
        [1, -2, 3],
        spring_constant=[[0.1, 0.02, 0.0], [0.02, 0.2, 0.03], [0.0, 0.03, 0.3]],
        cubic=0.1,
        quartic=0.05,
        polarizability=random.normal(size=(3, 3)),
        polarizability_slope=random.normal(size=(3, 3, 3)),
        polarizability_curvature=random.normal(size=(3, 3)),
        reference_cell=reference_cell,
    )


def water_cluster() -> Structure:
    random = np.random.default_rng(4)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    molecules = [
        WATER,
        WATER + np.array([5.0, 0.3, 0.2]),
        WATER @ turn + np.array([1.0, 6.0, -1.0]),
    ]
    return free([8, 1, 1] * 3, np.concatenate(molecules) + random.normal(size=(9, 3)) * 0.05)


CASES: list[tuple[str, Evaluator, Structure]] = [
    ("crystal", random_crystal(crystal_site()), displaced(crystal_site())),
    ("oscillators", oscillators(), displaced(crystal_site())),
    ("pinned", oscillators(None), displaced(crystal_site())),
    ("double_well", double_well(), displaced(crystal_site())),
    ("eckart", eckart(axis=1, charge=-2.0), displaced(crystal_site())),
    ("morse_wall", morse_wall(centre=0.3), displaced(crystal_site())),
    ("morse", MorseMolecule(), free([8, 1], np.array([[0.1, 0.2, 0.3], [1.0, 0.5, 1.9]]))),
    ("water", Qtip4pf(), water_cluster()),
]


@pytest.mark.parametrize(("toy", "structure"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_every_derivative_is_that_of_its_observable(toy: Evaluator, structure: Structure) -> None:
    # differences of fourth order: h^4/30 of the fifth derivative of a stiff bond is 1e-7 relative
    report = check_evaluator(toy, structure, tolerance=1e-6)
    assert report.passed, str(report)


@pytest.mark.parametrize("toy", [random_crystal(crystal_site()), oscillators()])
def test_lattice_translations_change_the_dipole_by_quanta_only(toy: Evaluator) -> None:
    report = check_translations(toy, displaced(crystal_site()))
    assert report.passed, str(report)


def test_the_dipole_of_oscillators_jumps_by_charge_times_lattice_vector() -> None:
    home = displaced(crystal_site())
    positions = home.positions.copy()
    positions[1] += TRICLINIC[2]
    away = Structure(home.numbers, positions, home.cell)
    before, after = oscillators()([home, away], oscillators().provides).values
    assert after["dipole"] - before["dipole"] == pytest.approx(-2.0 * TRICLINIC[2], abs=1e-12)


def test_sites_have_no_images_along_open_directions() -> None:
    slab = Structure(np.array([1]), np.array([[0.3, 0.2, 0.1]]), TRICLINIC, (True, False, True))
    toy = ChargedOscillators([[0.0, 0.0, 0.0]], [1], reference_cell=TRICLINIC)
    moved = [
        Structure(slab.numbers, slab.positions + vector, slab.cell, slab.pbc)
        for vector in TRICLINIC
    ]
    home, *away = [value["energy"] for value in toy([slab, *moved], ENERGY).values]
    assert away[0] == pytest.approx(home, rel=1e-12)
    assert away[1] > 10.0 * home
    assert away[2] == pytest.approx(home, rel=1e-12)


def gradient(toy: Evaluator, structure: Structure) -> Array:
    return toy([structure], ENERGY).pull_back([{"energy": np.ones(())}])[0].positions


def strain_of(toy: Evaluator, structure: Structure) -> Array | None:
    return toy([structure], ENERGY).pull_back([{"energy": np.ones(())}])[0].strain


def test_wells_pinned_in_space_have_no_strain_derivative() -> None:
    structure = displaced(crystal_site())
    assert strain_of(oscillators(None), structure) is None
    assert strain_of(double_well(), structure) is None
    assert strain_of(oscillators(TRICLINIC), structure) is not None


def test_born_charges_have_no_derivative() -> None:
    evaluation = Qtip4pf()([water_cluster()], frozenset({"born_charges"}))
    with pytest.raises(MissingObservable, match="born_charges"):
        evaluation.pull_back([{"born_charges": np.ones((9, 3, 3))}])


# --- one-dimensional profiles, by quadrature and DVR ---


def profile(toy: Evaluator, axis: int, coordinates: Array) -> Array:
    points = np.zeros((len(coordinates), 1, 3))
    points[:, 0, axis] = coordinates
    structures = [free([1], point) for point in points]
    return np.array([value["energy"] for value in toy(structures, ENERGY).values])


def levels(energies: Array, spacing: float, mass: float) -> tuple[Array, Array]:
    """Sinc DVR: energies and wave functions on the grid."""
    i = np.arange(len(energies))
    distance = i[:, None] - i[None, :]
    with np.errstate(divide="ignore"):
        kinetic = np.where(distance == 0, np.pi**2 / 3.0, 2.0 / distance.astype(float) ** 2)
    kinetic = kinetic * (-1.0) ** distance / (2.0 * mass * spacing**2)
    return np.linalg.eigh(kinetic + np.diag(energies))


def quantum_free_energy(energies: Array, spacing: float, mass: float, kT: float) -> float:
    states = levels(energies, spacing, mass)[0]
    return float(states[0] - kT * np.log(np.sum(np.exp(-(states - states[0]) / kT))))


def classical_free_energy(energies: Array, spacing: float, mass: float, kT: float) -> float:
    states = np.sum(np.exp(-energies / kT)) * spacing * np.sqrt(mass * kT / (2.0 * np.pi))
    return float(-kT * np.log(states))


def test_morse_wall_has_the_free_energies_of_ipis_morse_harmonic() -> None:
    x = np.linspace(-3.0, 4.0, 600)
    energies, spacing, kT = profile(morse_wall(), 2, x), x[1] - x[0], 300.0 * KELVIN
    # the reference gives six digits, from a grid of its own
    classical = classical_free_energy(energies, spacing, 1837.4, kT)
    assert classical / MILLI_EV == pytest.approx(3.39930, abs=2e-5)
    quantum = quantum_free_energy(energies, spacing, 1837.4, kT)
    assert quantum / MILLI_EV == pytest.approx(4.91548, abs=5e-5)


def test_double_well_has_the_minima_and_the_barrier_of_ipis_driver() -> None:
    x = np.linspace(1.5, 2.5, 100001)
    energies = profile(double_well(), 0, x[::1000])
    assert x[::1000][np.argmin(energies)] == pytest.approx(1.99641, abs=0.01)
    minimum = free([1], np.array([[1.99641, 0.0, 0.0]]))
    assert gradient(double_well(), minimum) == pytest.approx(np.zeros((1, 3)), abs=1e-15)
    top, bottom = profile(double_well(), 0, np.array([0.0, -1.99641]))
    assert (top - bottom) / MILLI_EV == pytest.approx(258.507, abs=1e-3)


def test_double_well_spreads_as_quadrature_says() -> None:
    x = np.linspace(-4.0, 4.0, 500)
    energies, spacing, kT = profile(double_well(), 0, x), x[1] - x[0], 300.0 * KELVIN
    weights = np.exp(-energies / kT)
    assert weights @ x**2 / weights.sum() == pytest.approx(3.87615, abs=2e-5)
    states, waves = levels(energies, spacing, 1836.0)
    populations = np.exp(-(states - states[0]) / kT)
    means = np.einsum("xn,x->n", waves**2, x**2)
    # the reference may have used the mass 1837 that is in the driver: 5e-4 of a correction of 0.09
    assert populations @ means / populations.sum() == pytest.approx(3.78937, abs=1e-4)


def transmission(toy: Evaluator, energies: Array, mass: float) -> Array:
    """Numerov integration of a transmitted wave back through the barrier."""
    x, spacing = np.linspace(-8.0, 8.0, 3201, retstep=True)
    potential = profile(toy, 0, x)
    k = np.sqrt(2.0 * mass * energies)

    def weight(i: int) -> Array:
        return 1.0 + spacing**2 / 12.0 * 2.0 * mass * (energies - potential[i])

    last, here = np.exp(1j * k * x[-1]), np.exp(1j * k * x[-2])
    for i in range(len(x) - 2, 0, -1):
        following = ((12.0 - 10.0 * weight(i)) * here - weight(i + 1) * last) / weight(i - 1)
        last, here = here, following
    # psi = A e^{ikx} + B e^{-ikx} at the first two points
    e0, e1 = np.exp(1j * k * x[0]), np.exp(1j * k * x[1])
    incoming = (here / e1 - last / e0) / (e0 / e1 - e1 / e0)
    return 1.0 / np.abs(incoming) ** 2


def test_eckart_barrier_has_the_exact_rates() -> None:
    top = float(profile(eckart(), 0, np.zeros(1))[0])
    assert top == pytest.approx(9.10865e-3, rel=1e-12)
    energies = np.linspace(1e-6, 0.09, 3000)
    transmitted = transmission(eckart(), energies, 1836.0)
    for kelvin, ratio in ((1000, 1.13093), (500, 1.52969), (300, 3.13066), (200, 14.7685)):
        kT = kelvin * KELVIN
        rate = np.trapezoid(transmitted * np.exp(-(energies - top) / kT), energies) / kT
        # Numerov and the trapezoidal rule are good to 1e-4 on these grids
        assert rate == pytest.approx(ratio, rel=2e-4)


def test_morse_molecule_has_the_levels_of_oh() -> None:
    toy = MorseMolecule()
    r, spacing = np.linspace(0.9, 5.0, 400, retstep=True)
    structures = [free([8, 1], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, x]])) for x in r]
    energies = np.array([value["energy"] for value in toy(structures, ENERGY).values])
    mass = DALTON / (1.0 / 15.999 + 1.0 / 1.008)
    states = levels(energies, spacing, mass)[0] / INVERSE_CM
    # the reference does not say its masses; between isotopes and mean masses lie 0.3 cm^-1
    assert states[1] - states[0] == pytest.approx(3580.24, abs=0.2)
    r_0, h = 0.96966 * ANGSTROM, 1e-3
    pair = [free([8, 1], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, r_0 + x]])) for x in (h, -h)]
    slopes = [gradient(toy, structure)[1, 2] for structure in pair]
    harmonic = np.sqrt((slopes[0] - slopes[1]) / (2.0 * h) / mass) / INVERSE_CM
    assert harmonic == pytest.approx(3751.23, abs=0.2)


# --- water ---


def equilibrium_water() -> Array:
    length, angle = 0.9419 * ANGSTROM, np.deg2rad(107.4)
    return np.array(
        [[0, 0, 0], [length, 0, 0], [length * np.cos(angle), length * np.sin(angle), 0]]
    )


def hessian(force_gradient: Callable[[Array], Array], positions: Array, h: float = 1e-3) -> Array:
    columns = []
    for index in np.ndindex(positions.shape):
        shift = np.zeros_like(positions)
        shift[index] = h
        difference = force_gradient(positions + shift) - force_gradient(positions - shift)
        columns.append(difference.ravel() / (2.0 * h))
    return np.array(columns)


def test_water_monomer_has_its_harmonic_wavenumbers() -> None:
    positions = equilibrium_water()
    curvature = hessian(lambda R: gradient(Qtip4pf(), free([8, 1, 1], R)), positions)
    masses = np.repeat([15.9949146, 1.00782503, 1.00782503], 3) * DALTON
    squared = np.linalg.eigvalsh(curvature / np.sqrt(np.outer(masses, masses)))
    assert gradient(Qtip4pf(), free([8, 1, 1], positions)) == pytest.approx(0.0, abs=1e-12)
    # six zero modes, up to the error h^2 of the differences
    assert np.abs(squared[:6]).max() < 1e-5 * squared[6]
    wavenumbers = np.sqrt(squared[6:]) / INVERSE_CM
    # the reference took a = 1.21/bohr for 2.287/A, which is 1.9e-4 less
    assert wavenumbers == pytest.approx([1580.21, 3852.32, 3919.94], rel=2.5e-4)


def test_distant_waters_attract_as_two_dipoles() -> None:
    separation = np.array([120.0, 40.0, 80.0])
    first, second = WATER, WATER[:, [1, 0, 2]] + separation
    toy = Qtip4pf()
    one, two = toy([free([8, 1, 1], first), free([8, 1, 1], second)], toy.provides).values
    pair = toy([free([8, 1, 1] * 2, np.concatenate([first, second]))], ENERGY).values[0]
    interaction = pair["energy"] - one["energy"] - two["energy"]
    distance = np.linalg.norm(separation)
    n = separation / distance
    tensor = (np.eye(3) - 3.0 * np.outer(n, n)) / distance**3
    # the next order, dipole with quadrupole, is smaller by about 3/distance
    assert interaction == pytest.approx(one["dipole"] @ tensor @ two["dipole"], rel=0.05)


def test_water_clusters_do_not_depend_on_orientation_or_order() -> None:
    cluster = water_cluster()
    turn, _ = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))
    reordered = cluster.positions.reshape(3, 3, 3)[::-1, [0, 2, 1]].reshape(9, 3)
    turned = free([8, 1, 1] * 3, reordered @ turn)
    toy = Qtip4pf()
    before, after = toy([cluster, turned], toy.provides).values
    assert after["energy"] == pytest.approx(before["energy"], rel=1e-12)
    assert after["dipole"] == pytest.approx(before["dipole"] @ turn, abs=1e-12)
    alpha = turn.T @ before["polarizability"] @ turn
    assert after["polarizability"] == pytest.approx(alpha, abs=1e-11)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (free([1, 8, 1], WATER), "O H H"),
        (free([8, 1], WATER[:2]), "O H H"),
        (Structure(np.array([8, 1, 1]), WATER, TRICLINIC), "pbc = "),
    ],
)
def test_water_refuses_what_it_cannot_treat(structure: Structure, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Qtip4pf()([structure], ENERGY)


# --- free energies of the crystal ---


def one_atom(angular_frequencies: list[float], mass: float) -> HarmonicCrystal:
    return HarmonicCrystal(np.zeros((1, 3)), np.diag(angular_frequencies) ** 2 * mass)


def test_crystal_has_the_harmonic_free_energies_of_the_morse_wall() -> None:
    depth, exponent = 0.2 * EV, 0.75 / ANGSTROM
    omega = exponent * np.sqrt(2.0 * depth / 1837.4)
    crystal = one_atom([omega] * 3, 1837.4)
    kT = 300.0 * KELVIN
    classical = crystal.free_energy([1837.4], kT, n_beads=1) / 3.0
    assert classical / MILLI_EV == pytest.approx(4.31398, abs=2e-5)
    quantum = crystal.free_energy([1837.4], kT) / 3.0
    assert quantum / MILLI_EV == pytest.approx(5.80079, abs=2e-5)


def test_the_kinetic_energy_of_a_quantum_oscillator_follows_from_its_free_energy() -> None:
    kT, h = 300.0 * KELVIN, 1e-3
    for wavenumber, expected in ((3400.0, 105.387), (1650.0, 51.181), (500.0, 18.597)):
        crystal = one_atom([wavenumber * INVERSE_CM] * 3, 1.0)
        plus, minus = (crystal.free_energy([np.exp(x)], kT) for x in (h, -h))
        # <K> = -m dF/dm
        assert -(plus - minus) / (2.0 * h) / 3.0 / MILLI_EV == pytest.approx(expected, abs=2e-3)


def test_ring_polymers_approach_the_quantum_free_energy_as_one_over_beads_squared() -> None:
    crystal = random_crystal(crystal_site())
    masses, kT = [2000.0, 3000.0, 4000.0], 300.0 * KELVIN
    exact = crystal.free_energy(masses, kT)
    errors = [exact - crystal.free_energy(masses, kT, n_beads) for n_beads in (1, 128, 256, 512)]
    assert np.all(np.array(errors) > 0.0)
    assert errors[2] / errors[3] == pytest.approx(4.0, rel=0.01)


def test_an_unbound_crystal_has_no_free_energy() -> None:
    crystal = HarmonicCrystal(np.zeros((1, 3)), np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(EvaluationError, match="not bound"):
        crystal.free_energy([1.0], 1.0)


# --- from client files ---


def test_every_toy_can_be_made_from_a_client_file() -> None:
    required = {
        "harmonic_crystal": {"sites": [[0.0, 0.0, 0.0]], "hessian": np.eye(3).tolist()},
        "charged_oscillators": {"sites": [[0.0, 0.0, 0.0]], "charges": [1]},
    }
    for name in TOYS:
        assert "energy" in make_toy(name, required.get(name, {})).provides


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("qtip5p", {}, "no toy 'qtip5p'; use one of .*qtip4pf"),
        ("eckart", {"hight": 1.0}, "no parameter 'hight'; it has height, width"),
        ("charged_oscillators", {"charges": [1]}, "needs the parameter 'sites'"),
        ("eckart", {"axis": 3}, "axis must be 0, 1 or 2"),
        ("charged_oscillators", {"sites": [[0, 0, 0]], "charges": [0.5]}, "integers"),
        ("charged_oscillators", {"sites": [[0, 0, 0]], "charges": [1, 1]}, "charges must be"),
        ("charged_oscillators", {"sites": "here", "charges": [1]}, "sites must be numbers"),
        (
            "charged_oscillators",
            {"sites": [[0, 0, 0]], "charges": [1], "spring_constant": np.arange(9).reshape(3, 3)},
            "symmetric",
        ),
        (
            "charged_oscillators",
            {"sites": [[0, 0, 0]], "charges": [1], "reference_cell": np.zeros((3, 3))},
            "no volume",
        ),
        ("harmonic_crystal", {"sites": [[0, 0, 0]], "hessian": np.triu(np.ones((3, 3)))}, "symm"),
        ("morse_molecule", {"depth": "deep"}, "a number for 'depth'"),
    ],
)
def test_a_wrong_toy_is_refused_with_the_remedy(
    name: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_toy(name, parameters)


def test_structures_that_do_not_fit_the_sites_are_refused() -> None:
    with pytest.raises(EvaluationError, match="3 sites, the structure 1"):
        oscillators()([free([1], np.zeros((1, 3)))], ENERGY)
    with pytest.raises(EvaluationError, match="no cell"):
        oscillators()([free([1, 1, 1], np.zeros((3, 3)))], ENERGY)
    with pytest.raises(EvaluationError, match="2 atoms"):
        MorseMolecule()([free([1], np.zeros((1, 3)))], ENERGY)
