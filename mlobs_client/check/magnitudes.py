"""Check the magnitudes of numbers in an input: i-PI reads numbers without a unit as atomic units.

Impossible numbers are errors, unusual ones are warnings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.constants import physical_constants

from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.check.initial_state import InitialState
from mlobs_client.check.ipi_parser import ParsedInput
from mlobs_client.client.analytic import AseModel, ToyModel
from mlobs_client.client.service import ClientFile
from mlobs_client.ipi.input import IpiInput
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM, DALTON, FEMTOSECOND, KELVIN

HOTTEST: Final = 20_000.0  # K
COLDEST: Final = 0.01  # K
USUAL: Final = (1.0, 5000.0)  # K
SHORTEST_STEP: Final = 0.02  # fs
LONGEST_STEPS: Final = ((1.5, 1.0), (2.5, 2.0), (np.inf, 3.0))
"""Upper limit of the lightest mass (u), and longest usual time step (fs): with H, D, or neither."""
TOO_CLOSE: Final = 0.45  # times the sum of covalent radii
CLOSE: Final = 0.6
"""Ratio of a distance to the sum of covalent radii that bonds exceed; for bonds in angstrom that
are read as bohr, it is 0.5 to 0.55."""
BONDED: Final = 1.3  # times the sum of covalent radii
SAME: Final = 0.01  # relative, of the ratio of two structures
IN_ANGSTROM: Final = (
    "if they are in angstrom, write positions{angstrom} cell{angstrom} into the second line of"
)
# In these, nothing depends on the temperature.
ATHERMAL: Final = frozenset(
    {"minimize", "neb", "string", "vibrations", "normalmodes", "dummy", "replay", "al-kmc"}
)
ANGSTROM_IN_CM: Final = 1e-8
DALTON_IN_GRAM: Final = physical_constants["atomic mass constant"][0] * 1e3


def check_state(ipi: IpiInput, state: InitialState) -> Iterator[Finding]:
    """Check the temperature and the time step.

    Args:
        ipi: the input.
        state: initial state of i-PI.
    """
    words, kelvins = [], _in_kelvin(state)
    faults = (
        []
        if ATHERMAL.issuperset(ipi.motions)
        else [fault for kelvin in kelvins for fault in _temperature(ipi, kelvin)]
    )
    if kelvins and not faults:  # else they say it
        ends = kelvins[:: max(1, len(kelvins) - 1)]
        words.append(f"T = {' to '.join(f'{kelvin:.6g}' for kelvin in ends)} K")
    if state.timestep is not None:
        words.append(f"dt = {state.timestep / FEMTOSECOND:.4g} fs")
    if words:
        yield ok(f"i-PI starts with {', '.join(words)}")
    yield from faults
    kelvin = state.velocity_temperature / KELVIN
    if kelvin > HOTTEST:
        yield error(
            f"the initial velocities have a kinetic temperature of {kelvin:.3g} K",
            f"write <velocities units='kelvin'> into {ipi.path.name}, with the temperature in "
            "kelvin: without units, i-PI reads the number in Hartree",
        )
    if state.timestep is not None:
        yield from _timestep(ipi, state, state.timestep / FEMTOSECOND)


def _in_kelvin(state: InitialState) -> list[float]:
    return [temperature / KELVIN for temperature in state.temperatures]


def _temperature(ipi: IpiInput, kelvin: float) -> Iterator[Finding]:
    written = "" if ipi.temperature is None else " ({} in {})".format(*ipi.temperature)
    what = f"the temperature of {ipi.path.name} is {kelvin:.6g} K{written}"
    remedy = (
        f"write <temperature units='kelvin'> into {ipi.path.name}, with the temperature in kelvin: "
        "without units, i-PI reads the number in Hartree"
    )
    if kelvin > HOTTEST or (kelvin < COLDEST and not _is_at_rest(ipi, kelvin)):
        yield error(what, remedy)
    elif not USUAL[0] <= kelvin <= USUAL[1] and kelvin > 0.0:
        yield warning(f"{what}, outside {USUAL[0]:g} to {USUAL[1]:g} K", remedy)


def _is_at_rest(ipi: IpiInput, kelvin: float) -> bool:
    """Return whether this is 0 K in classical NVE dynamics, which uses no temperature."""
    return kelvin == 0.0 and ipi.n_beads == 1 and set(ipi.dynamics) == {"nve"}


def _timestep(ipi: IpiInput, state: InitialState, step: float) -> Iterator[Finding]:
    lightest = state.masses.min() / DALTON
    longest = next(limit for mass, limit in LONGEST_STEPS if lightest < mass)
    written = "" if ipi.timestep is None else " (<timestep> is {} in {})".format(*ipi.timestep)
    what = f"the innermost time step is {step:.4g} fs{written}"
    remedy = (
        f"write <timestep units='femtosecond'> into {ipi.path.name}, with the step in fs: without "
        "units, i-PI reads the number in atomic units of time"
    )
    if step < SHORTEST_STEP:
        yield warning(f"{what}, less than {SHORTEST_STEP:g} fs", remedy)
    elif step > longest:
        yield warning(
            f"{what}, more than {longest:g} fs, with atoms of {lightest:.4g} u",
            f"make it shorter, unless 'conserved' does not drift; {remedy}",
        )


@dataclass(frozen=True)
class _Pairs:
    """Pairs of atoms: indices ``(n_pairs, 2)``, distances (angstrom), ratios to sums of radii."""

    atoms: Integers
    distances: Array
    ratios: Array

    def describe(self, i: int, names: tuple[str, ...]) -> str:
        """Describe a pair by its distance, labels and numbers, counted from 1."""
        first, second = (f"{names[atom]}{atom + 1}" for atom in sorted(self.atoms[i]))
        return f"{self.distances[i]:.4g} angstrom ({first}-{second})"


def check_distances(
    ipi: IpiInput, parsed: ParsedInput, client: ClientFile, structure: Structure
) -> Iterator[Finding]:
    """Report the density of i-PI's first structure, and check its distances and units.

    Args:
        ipi: the input.
        parsed: the input as i-PI reads it.
        client: the client file.
        structure: structure of the client file, with the same atoms.

    Raises:
        EvaluationError: no distances can be found in i-PI's cell.
    """
    start = Structure(structure.numbers, parsed.positions, parsed.cell, structure.pbc)
    if ipi.step == 0:
        yield from _sizes(ipi, client, start, structure)
    words = []
    if all(start.pbc) and parsed.state is not None:
        grams = parsed.state.masses.sum() / DALTON * DALTON_IN_GRAM
        volume = start.volume / ANGSTROM**3 * ANGSTROM_IN_CM**3
        words.append(f"a density of {grams / volume:.4g} g/cm^3")
    pairs = _find_pairs(start, BONDED)
    is_bonded = len(pairs.distances) > 0
    if not is_bonded:
        pairs = _find_pairs(start, 2.0 * BONDED)
    if len(pairs.distances):
        shortest = int(pairs.distances.argmin())
        words.append(f"a shortest distance of {pairs.describe(shortest, parsed.names)}")
    if words:
        yield ok(f"the first structure of i-PI has {' and '.join(words)}")
    if not _is_model_system(ipi, client):
        yield from _distances(ipi, parsed, pairs, is_bonded=is_bonded)


def _is_model_system(ipi: IpiInput, client: ClientFile) -> bool:
    """Return whether species have no physical meaning, as for Lennard-Jones and the toy models."""
    potential = client.config.potential
    if isinstance(potential, AseModel):
        return "lennardjones" in potential.calculator.lower()
    return isinstance(potential, ToyModel) or any(ff.kind == "fflj" for ff in ipi.forcefields)


def _distances(
    ipi: IpiInput, parsed: ParsedInput, pairs: _Pairs, *, is_bonded: bool
) -> Iterator[Finding]:
    remedy = (
        f"check the units of the positions and of the cell in <initialize> of {ipi.path.name}: "
        "xyz without positions{angstrom} cell{angstrom} in its second line is in bohr"
    )
    if is_bonded and pairs.ratios.min() < CLOSE:
        closest = int(pairs.ratios.argmin())
        is_impossible = pairs.ratios[closest] < TOO_CLOSE
        yield (error if is_impossible else warning)(
            f"two atoms of i-PI's first structure are {pairs.describe(closest, parsed.names)} "
            f"apart: {pairs.ratios[closest]:.3f} times the sum of their covalent radii, less than "
            f"{TOO_CLOSE if is_impossible else CLOSE:g}",
            remedy,
        )
    elif not is_bonded and len(parsed.names) > 1:
        yield warning(
            f"no two atoms of i-PI's first structure are within {BONDED:g} times the sum of their "
            "covalent radii",
            remedy,
        )


def _find_pairs(structure: Structure, factor: float) -> _Pairs:
    """Return pairs that are closer than a factor times the sum of their covalent radii."""
    from ase.data import covalent_radii

    from mlobs_client.evaluate.neighbours import Batch, NeighbourList

    radii = covalent_radii[structure.numbers] * ANGSTROM
    batch = Batch.of([structure])
    found = NeighbourList.of(batch, 2.0 * factor * float(radii.max()))
    first, second = found.pairs
    vectors = structure.positions[second] + found.shifts - structure.positions[first]
    distances = np.linalg.norm(vectors, axis=1)
    sums = radii[first] + radii[second]
    near = distances < factor * sums
    return _Pairs(found.pairs.T[near], distances[near] / ANGSTROM, (distances[near] / sums[near]))


def _sizes(
    ipi: IpiInput, client: ClientFile, start: Structure, structure: Structure
) -> Iterator[Finding]:
    """Find structures that differ by the ratio of bohr and angstrom."""
    centred = (one.positions - one.positions.mean(axis=0) for one in (start, structure))
    compared = {"positions": (*centred,)}
    if all(structure.pbc):
        compared["lattice vectors"] = (start.cell, structure.cell)
    name = f"{client.config.structure} of {client.path.name}"
    for what, (theirs, ours) in compared.items():
        if _is_scaled(theirs, ours, ANGSTROM):
            yield error(
                f"the {what} of {ipi.path.name} are {ANGSTROM:.3f} times those of {name}: i-PI "
                "reads in angstrom what the client reads in bohr",
                f"{IN_ANGSTROM} {client.config.structure}; if they are in bohr, remove "
                f"units='angstrom' from <initialize> of {ipi.path.name}",
            )
        elif _is_scaled(theirs, ours, 1.0 / ANGSTROM):
            yield error(
                f"the {what} of {ipi.path.name} are {1.0 / ANGSTROM:.3f} times those of {name}: "
                "i-PI reads in bohr what the client reads in angstrom",
                f"{IN_ANGSTROM} the xyz file in <initialize> of {ipi.path.name}; if they are in "
                "bohr, write positions{atomic_unit} cell{atomic_unit} there",
            )


def _is_scaled(theirs: Array, ours: Array, factor: float) -> bool:
    """Return whether the vectors differ by a factor, up to a rotation."""
    large, small = (np.linalg.svd(vectors, compute_uv=False) for vectors in (theirs, ours))
    return bool(small.any() and np.allclose(large, factor * small, rtol=SAME, atol=1e-6))
