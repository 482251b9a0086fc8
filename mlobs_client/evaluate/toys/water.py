"""The q-TIP4P/F model of water molecules and clusters, with a simple polarizability."""

from __future__ import annotations

from typing import Final

import numpy as np

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.jet import Jet, JetEvaluator, fixed_charges, strain_derivative
from mlobs_client.evaluate.toys.wells import quartic_morse
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM, EV

_KCAL_PER_MOL: Final = 4184.0 / 96485.33212 * EV  # 1 eV = 96485.33212 J/mol

MORSE_DEPTH: Final = 116.09 * _KCAL_PER_MOL
MORSE_EXPONENT: Final = 2.287 / ANGSTROM
BOND_LENGTH: Final = 0.9419 * ANGSTROM
ANGLE: Final = float(np.deg2rad(107.4))
ANGLE_CONSTANT: Final = 87.85 * _KCAL_PER_MOL
LJ_DEPTH: Final = 0.1852 * _KCAL_PER_MOL
LJ_DIAMETER: Final = 3.1589 * ANGSTROM
M_CHARGE: Final = -1.1128
M_WEIGHT: Final = 0.73612  # weight of the oxygen in the position of the charge M

_SITES: Final = np.array(
    [[M_WEIGHT, (1 - M_WEIGHT) / 2, (1 - M_WEIGHT) / 2], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
)  # [site M H H, atom O H H]
_SITE_CHARGES: Final = np.array([M_CHARGE, -M_CHARGE / 2, -M_CHARGE / 2])
_ATOM_CHARGES: Final = _SITE_CHARGES @ _SITES

# bond polarizabilities of about the size of those of a water molecule, not fitted
_BOND_MEAN: Final = (4.9, 3.0)  # bohr^3 at the equilibrium bond length, and its slope, bohr^2
_BOND_ANISOTROPY: Final = (2.0, 4.0)


class Qtip4pf(JetEvaluator):
    """q-TIP4P/F water without periodic images; the order of the atoms is O H H, O H H, ...

    Without a cutoff, energies and dipoles are smooth at all distances, so that every derivative is
    exact. The polarizability is a sum over O-H bonds of tensors linear in the bond
    length; it serves to test derivatives, not to compare with Raman spectra.

    Source:
        Habershon, Markland, Manolopoulos, J. Chem. Phys. 131, 024501 (2009), table I.
    """

    provides = frozenset(
        {"energy", "dipole", "born_charges", "polarizability", "polarizability_gradient"}
    )

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        _check(structure)
        R = structure.positions
        molecules = R.reshape(-1, 3, 3)  # [molecule, atom O H H, i]
        energy, gradient = 0.0, np.zeros_like(molecules)
        for part in (_stretch, _bend, _lennard_jones, _coulomb):
            part_energy, part_gradient = part(molecules)
            energy += part_energy
            gradient += part_gradient
        charges = np.tile(_ATOM_CHARGES, len(molecules))
        alpha, alpha_gradient = _bond_polarizability(molecules)
        values = {
            "energy": (np.asarray(energy), gradient.reshape(-1, 3)),
            "polarizability": (alpha, np.moveaxis(alpha_gradient, 0, -2)),
        }
        jets = {
            name: Jet(value, by_positions, strain_derivative(R, by_positions))
            for name, (value, by_positions) in values.items()
        }
        return {
            **jets,
            **fixed_charges(charges, R),
            "polarizability_gradient": Jet(alpha_gradient),
        }


def _check(structure: Structure) -> None:
    molecule = [8, 1, 1]
    if list(structure.numbers) != molecule * (structure.n_atoms // 3):
        raise EvaluationError(
            f"q-TIP4P/F needs atoms in the order O H H, O H H, ..., got the atomic numbers "
            f"{structure.numbers.tolist()[:6]}...; sort the structure"
        )
    if any(structure.pbc):
        raise EvaluationError(
            "this q-TIP4P/F treats molecules and clusters only; write "
            "pbc = [false, false, false] in the client file"
        )


def _stretch(molecules: Array) -> tuple[float, Array]:
    gradient = np.zeros_like(molecules)
    energy = 0.0
    for hydrogen in (1, 2):
        bonds = molecules[:, hydrogen] - molecules[:, 0]
        lengths = np.linalg.norm(bonds, axis=1)
        energies, slopes = quartic_morse(MORSE_EXPONENT * (lengths - BOND_LENGTH))
        energy += float(MORSE_DEPTH * np.sum(energies))
        pull = (MORSE_DEPTH * MORSE_EXPONENT * slopes / lengths)[:, None] * bonds
        gradient[:, hydrogen] += pull
        gradient[:, 0] -= pull
    return energy, gradient


def _bend(molecules: Array) -> tuple[float, Array]:
    bonds = molecules[:, 1:] - molecules[:, :1]  # [molecule, bond, i]
    lengths = np.linalg.norm(bonds, axis=2, keepdims=True)
    directions = bonds / lengths
    cosines = np.sum(directions[:, 0] * directions[:, 1], axis=1)
    excess = np.arccos(cosines) - ANGLE
    slope = -ANGLE_CONSTANT * excess / np.sqrt(1.0 - cosines**2)  # dE/d(cosine)
    by_bonds = slope[:, None, None] * (directions[:, ::-1] - cosines[:, None, None] * directions)
    by_bonds /= lengths
    gradient = np.concatenate([-by_bonds.sum(axis=1, keepdims=True), by_bonds], axis=1)
    return float(0.5 * ANGLE_CONSTANT * np.sum(excess**2)), gradient


def _lennard_jones(molecules: Array) -> tuple[float, Array]:
    first, second = np.triu_indices(len(molecules), k=1)
    vectors = molecules[first, 0] - molecules[second, 0]
    squared = np.sum(vectors**2, axis=1)
    sixth = (LJ_DIAMETER**2 / squared) ** 3
    gradient = np.zeros_like(molecules)
    pull = (-24.0 * LJ_DEPTH * (2.0 * sixth**2 - sixth) / squared)[:, None] * vectors
    np.add.at(gradient[:, 0], first, pull)
    np.add.at(gradient[:, 0], second, -pull)
    return float(4.0 * LJ_DEPTH * np.sum(sixth**2 - sixth)), gradient


def _coulomb(molecules: Array) -> tuple[float, Array]:
    sites = _SITES @ molecules  # [molecule, site, i]
    first, second = np.triu_indices(len(molecules), k=1)
    vectors = sites[first, :, None] - sites[second, None, :]  # [pair, site, site, i]
    distances = np.linalg.norm(vectors, axis=3)
    energies = np.outer(_SITE_CHARGES, _SITE_CHARGES) / distances
    pull = -(energies / distances**2)[..., None] * vectors
    by_sites = np.zeros_like(sites)
    np.add.at(by_sites, first, pull.sum(axis=2))
    np.add.at(by_sites, second, -pull.sum(axis=1))
    return float(np.sum(energies)), _SITES.T @ by_sites


def _bond_polarizability(molecules: Array) -> tuple[Array, Array]:
    """Sum ``mean(r) 1 + anisotropy(r) (n n - 1/3)`` over bonds of length r, direction n."""
    alpha = np.zeros((3, 3))
    gradient = np.zeros((*molecules.shape[:2], 3, 3, 3))  # [molecule, atom, i, k, j]
    one = np.eye(3)
    for hydrogen in (1, 2):
        bonds = molecules[:, hydrogen] - molecules[:, 0]
        r = np.linalg.norm(bonds, axis=1)
        n = bonds / r[:, None]
        mean, anisotropy = (a + b * (r - BOND_LENGTH) for a, b in (_BOND_MEAN, _BOND_ANISOTROPY))
        traceless = np.einsum("mi,mk->mik", n, n) - one / 3.0
        alpha += np.sum(mean) * one + np.einsum("m,mik->ik", anisotropy, traceless)

        by_length = _BOND_MEAN[1] * one + _BOND_ANISOTROPY[1] * traceless
        by_bond = np.einsum("mik,mj->mikj", by_length, n)
        turn = (one - np.einsum("mi,mj->mij", n, n)) / r[:, None, None]  # dn_i/d(bond_j)
        turned = np.einsum("mij,mk->mikj", turn, n) + np.einsum("mkj,mi->mikj", turn, n)
        by_bond += anisotropy[:, None, None, None] * turned
        gradient[:, hydrogen] += by_bond
        gradient[:, 0] -= by_bond
    return alpha, gradient.reshape(-1, 3, 3, 3)
