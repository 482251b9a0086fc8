"""What all toys promise, and how they are made from a client file."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.toys import (
    TOYS,
    ChargedOscillators,
    FerroelectricCrystal,
    MorseMolecule,
    Qtip4pf,
    double_well,
    eckart,
    make_toy,
    morse_wall,
    random_crystal,
)
from mlobs_client.structure import Array, Structure
from mlobs_client.testing.conformance import check_evaluator, check_translations

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


def ferroelectric(reference_cell: Array | None = TRICLINIC) -> FerroelectricCrystal:
    return FerroelectricCrystal(
        crystal_site().positions,
        [1, -2, 3],
        [2, 0],
        direction=[1.0, -2.0, 0.5],
        born_charges=[1.4, -3.1, 4.2],
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
    ("ferroelectric", ferroelectric(), displaced(crystal_site())),
    ("pinned_ferroelectric", ferroelectric(None), displaced(crystal_site())),
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


def test_every_toy_can_be_made_from_a_client_file() -> None:
    required = {
        "harmonic_crystal": {"sites": [[0.0, 0.0, 0.0]], "hessian": np.eye(3).tolist()},
        "charged_oscillators": {"sites": [[0.0, 0.0, 0.0]], "charges": [1]},
        "piezoelectric_crystal": {
            "sites": [[0.0, 0.0, 0.0]],
            "charges": [1],
            "reference_cell": np.eye(3).tolist(),
            "bulk_modulus": 0.1,
            "shear_modulus": 0.1,
            "spring_constant": 0.1,
        },
        "ferroelectric_crystal": {"sites": [[0.0, 0.0, 0.0]], "charges": [1], "polar": [0]},
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
