"""``mlobs oxidation``: compute an oxidation number from the dipole along a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlobs_client.analysis.response.winding import CLOSED, TOLERANCE
from mlobs_client.cli import options
from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.options import FiniteRange, command_line
from mlobs_client.errors import RecordError
from mlobs_client.units import ANGSTROM, DIPOLE_UNITS

if TYPE_CHECKING:
    from ase import Atoms

    from mlobs_client.structure import Array

AT_ONCE = 16
"""Number of structures that are evaluated together."""


@click.command(
    epilog="Examples:  mlobs oxidation path.extxyz --atom 4   |   "
    "mlobs oxidation path.extxyz --atom 4 --client client.toml -o winding"
)
@click.argument("path", metavar="PATH.extxyz", type=click.Path(path_type=Path))
@click.option(
    "--atom", required=True, type=click.IntRange(0),
    help="Index of the atom that moves to a periodic image of itself; the first is 0.",
)  # fmt: skip
@click.option(
    "--key", default="dipole", show_default=True, help="Name of the dipoles in PATH.extxyz."
)
@click.option(
    "--unit", type=click.Choice(list(DIPOLE_UNITS)), default="e*angstrom", show_default=True,
    help="Unit of the dipoles in PATH.extxyz.",
)  # fmt: skip
@click.option(
    "--client", type=click.Path(path_type=Path),
    metavar="CLIENT.toml",
    help="Evaluate the dipoles with the models of this client file, instead of reading labels.",
)  # fmt: skip
@click.option(
    "--tolerance", default=TOLERANCE, show_default=True, type=FiniteRange(0.0, 0.5),
    help="Largest allowed difference between a computed oxidation number and an integer.",
)  # fmt: skip
@click.option(
    "--closed", default=CLOSED / ANGSTROM, show_default=True, type=FiniteRange(0.0),
    help="Largest distance allowed between an atom and where it must end, angstrom.",
)  # fmt: skip
@options.output()
def command(
    path: Path,
    atom: int,
    key: str,
    unit: str,
    client: Path | None,
    tolerance: float,
    closed: float,
    output: Path | None,
) -> None:
    """Compute the oxidation number of an atom from the dipole along a closed path.

    When an atom moves to a periodic image of itself, the dipole of the cell changes by N e times
    the lattice vector by which the atom has moved; N is its oxidation number. PATH.extxyz holds the
    structures of the path in order, with the total dipole of each, on any branch: jumps by quanta
    are removed step by step. All other atoms must end where they started.

    With -o, the command writes OUTPUT.png, .pdf, .csv, .json, .h5.
    """
    from mlobs_client.analysis.response.winding import oxidation_number

    images = _read(path)
    scale = DIPOLE_UNITS[unit]
    dipoles = _labels(images, path, key) * scale if client is None else _evaluate(images, client)
    found = oxidation_number(
        _positions(images, path),
        dipoles,
        images[0].cell.array * ANGSTROM,
        atom,
        tolerance=tolerance,
        closed=closed * ANGSTROM,
    )
    symbol = images[0].symbols[atom]
    moved = ", ".join(str(count) for count in found.images)
    click.echo(
        f"N = {found.value:+d}: oxidation number of {symbol} (atom {atom}, counted from 0), "
        f"{found.before_rounding:+.4f} before rounding; it has moved by ({moved}) lattice vectors"
    )
    if output is not None:
        from mlobs_client.analysis.response.winding import curve_along_path
        from mlobs_client.plot import write
        from mlobs_client.results.provenance import Provenance
        from mlobs_client.results.result import Result

        label = f"{symbol} (atom {atom}): N = {found.value:+d}".replace("-", "−")
        result = Result(
            "oxidation number",
            (curve_along_path(found.along, label),),
            provenance=Provenance.of([path, *_files_of(client)], command_line()),
        )
        for written in write(result, output, integers=True):
            click.echo(written)


def _read(path: Path) -> list[Atoms]:
    from mlobs_client.ipi.structure_formats import iterate_atoms

    images = list(iterate_atoms(path))
    if len(images) < 2:
        raise RecordError(
            f"{path}: has {len(images)} structure; a path needs at least two, in one file"
        )
    return images


def _positions(images: list[Atoms], path: Path) -> Array:
    """Return positions of shape ``(t, n_atoms, 3)``, bohr."""
    import numpy as np

    first = images[0]
    for i, image in enumerate(images):
        if not np.array_equal(image.numbers, first.numbers):
            raise RecordError(
                f"{path}: structure {i} does not have the same atoms in the same order as "
                "structure 0"
            )
        if not np.allclose(image.cell.array, first.cell.array, atol=1e-6):
            raise RecordError(
                f"{path}: the cell of structure {i} differs from that of structure 0; a path "
                "needs one cell"
            )
    return np.array([image.positions for image in images]) * ANGSTROM


def _labels(images: list[Atoms], path: Path, key: str) -> Array:
    """Return labels of shape ``(t, 3)``, in their own unit."""
    import numpy as np

    labels = []
    for i, image in enumerate(images):
        known = dict(image.info)
        if image.calc is not None:  # ASE moves known results there
            known.update(image.calc.results)
        if np.shape(known.get(key, 0.0)) != (3,):
            raise RecordError(
                f"{path}: structure {i} has no {key!r} of three numbers; it has "
                f"{', '.join(known) or 'no labels'}: choose with --key, or evaluate with --client"
            )
        labels.append(known[key])
    return np.array(labels, dtype=np.float64)


def _files_of(client: Path | None) -> list[Path]:
    """Return the client file, and the files that it names: the structure and the models."""
    if client is None:
        return []
    from mlobs_client.client import config as client_file
    from mlobs_client.client.build import files_of_client

    return files_of_client(client_file.load_config(client), client)


def _evaluate(images: list[Atoms], client: Path) -> Array:
    """Return dipoles of shape ``(t, 3)``, e bohr."""
    import numpy as np

    from mlobs_client.client import config as client_file

    config = client_file.load_config(client)
    os.environ["OMP_NUM_THREADS"] = str(config.threads)
    # torch is loaded from here on
    from mlobs_client.client.build import assemble
    from mlobs_client.client.total_energy import observe_batch
    from mlobs_client.structure import Structure, from_atoms

    assembly = assemble(config, client.parent)
    structures = [Structure(*from_atoms(image)[:3], assembly.structure.pbc) for image in images]
    starts = range(0, len(structures), AT_ONCE)
    with make_bar(counts=False, stays=False) as bar:
        return np.array([
            values["dipole"]
            for start in bar.track(starts, description="structures")
            for values in observe_batch(
                structures[start : start + AT_ONCE], assembly.evaluators, (), ("dipole",)
            )
        ])  # fmt: skip
