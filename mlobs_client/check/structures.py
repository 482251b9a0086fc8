"""Check that i-PI and a client have the same atoms in the same cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.check.fixed_atoms import check_fixed_atoms
from mlobs_client.check.ipi_parser import ParsedInput
from mlobs_client.check.magnitudes import check_distances
from mlobs_client.client.service import ClientFile
from mlobs_client.client.structure_file import how_to_make_periodic, read_structure_file
from mlobs_client.ipi.input import IpiInput
from mlobs_client.ipi.labels import element
from mlobs_client.structure import Structure, fills_cell
from mlobs_client.units import ANGSTROM


def check_structure(
    ipi: IpiInput, parsed: ParsedInput | None, client: ClientFile
) -> Iterator[Finding]:
    """Compare species, periodicity, cell, units and fixed atoms, and check the distances.

    Args:
        ipi: the input.
        parsed: the input as i-PI reads it; None if i-PI refuses it.
        client: the client file.

    Raises:
        ConfigError: the structure of the client file is missing or unreadable.
        EvaluationError: this structure has a periodic cell without a volume.
    """
    file = read_structure_file(client.path.parent / client.config.structure, client.config.pbc)
    structure = file.structure
    if parsed is None:
        return
    yield from _species(ipi, parsed, client, structure)
    yield from _periodicity(ipi, parsed, client, structure)
    if any(structure.pbc):
        yield from _cell(ipi, parsed, client, structure)
    if structure.n_atoms == len(parsed.names):
        yield from check_distances(ipi, parsed, client, structure)
        if parsed.state is not None:
            yield from check_fixed_atoms(ipi, parsed.state, file, client.config.structure)


def _species(
    ipi: IpiInput, parsed: ParsedInput, client: ClientFile, structure: Structure
) -> Iterator[Finding]:
    from ase.data import chemical_symbols

    ours = [chemical_symbols[number] for number in structure.numbers]
    theirs = [_element(label) for label in parsed.names]
    where = f"{client.config.structure} of {client.path.name}"
    remedy = (
        f"use the same atoms in the same order: structure = {client.config.structure!r} in "
        f"{client.path.name}, <initialize> in {ipi.path.name}"
    )
    if len(ours) != len(theirs):
        yield error(f"{ipi.path.name} has {len(theirs)} atoms, but {where} has {len(ours)}", remedy)
        return
    differing = [i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
    if differing:
        i = differing[0]
        yield error(
            f"atom {i + 1} is {parsed.names[i]!r} in {ipi.path.name}, but {ours[i]!r} in {where} "
            f"({len(differing)} atoms differ)",
            remedy,
        )
    else:
        yield ok(f"{len(ours)} atoms, species in the same order as in {where}")


def _element(label: str) -> str:
    """Return the element of a label, or the label itself if it has none, for an error message."""
    try:
        return element(label)
    except ValueError:
        return label


def _periodicity(
    ipi: IpiInput, parsed: ParsedInput, client: ClientFile, structure: Structure
) -> Iterator[Finding]:
    remedy = how_to_make_periodic(client.config, client.path.parent, structure, parsed.cell)
    modes = ipi.barostatted
    if all(structure.pbc):
        yield ok("the structure is periodic along all lattice vectors")
    elif modes:
        yield error(
            f"dynamics mode={modes[0]!r} changes the cell, but {client.config.structure} is not "
            "periodic",
            remedy,
        )
    elif not any(structure.pbc) and fills_cell(parsed.positions, parsed.cell):
        yield warning(
            f"{client.config.structure} is not periodic, but its atoms fill the cell of i-PI",
            f"if it is a liquid or a solid, {remedy}",
        )


def _cell(
    ipi: IpiInput, parsed: ParsedInput, client: ClientFile, structure: Structure
) -> Iterator[Finding]:
    if ipi.step > 0 or np.allclose(parsed.cell, structure.cell, atol=1e-3):
        yield ok(f"the cell has a volume of {structure.volume / ANGSTROM**3:.2f} angstrom^3")
        return
    gram = parsed.cell @ parsed.cell.T, structure.cell @ structure.cell.T
    if np.allclose(*gram, atol=1e-2):
        yield warning(
            f"i-PI rotates the cell of {client.config.structure} so that the first lattice vector "
            "is along x and the second in the xy plane; a [field] keeps its direction",
            "rotate the structure beforehand, or give [field] vector in the axes of i-PI",
        )
        return
    yield warning(
        f"the cells differ: {parsed.cell.round(3).tolist()} bohr in {ipi.path.name}, "
        f"{structure.cell.round(3).tolist()} bohr in {client.config.structure}",
        "i-PI's cell is used; check its units (cell_units=) if this is not intended",
    )
