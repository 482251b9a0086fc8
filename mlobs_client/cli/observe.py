"""``mlobs observe``: evaluate observables along a trajectory, after the simulation."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlobs_client.cli import options
from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.options import ResultFile
from mlobs_client.client import config as client_file
from mlobs_client.errors import RecordError

if TYPE_CHECKING:
    from mlobs_client.ipi.trajectory import Frame


@click.command(
    epilog="Examples:  mlobs observe client.toml simulation.pos -w dipole -w committee_dipoles "
    "-o dipoles.h5   |   mlobs observe client.toml frames.extxyz -w polarizability -o alpha.h5"
)
@options.client_file
@click.argument("trajectory", metavar="TRAJECTORY...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option(
    "-w", "--want", "wanted", multiple=True, default=("dipole",), show_default=True,
    help="Observable to evaluate, or 'positions' or 'cell' to copy; may be repeated.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="Path and name of the record (HDF5).",
)  # fmt: skip
@click.option(
    "--extxyz", type=ResultFile(),
    help="Also write the observables to this extended xyz file, in eV and angstrom.",
)  # fmt: skip
@click.option(
    "--batch-size", default=16, show_default=True, type=click.IntRange(min=1),
    help="Number of frames that are evaluated together.",
)  # fmt: skip
@click.option(
    "--at-once", default=1, show_default=True, type=click.IntRange(min=1),
    help="Number of processes, each with as many threads as CLIENT.toml sets.",
)  # fmt: skip
def command(
    client: Path,
    trajectory: tuple[Path, ...],
    wanted: tuple[str, ...],
    output: Path,
    extxyz: Path | None,
    batch_size: int,
    at_once: int,
) -> None:
    """Evaluate the models of CLIENT.toml along TRAJECTORY.

    TRAJECTORY is a file (xyz of i-PI in any unit, or extxyz), or the common name of all beads:
    simulation.pos for simulation.pos_0.xyz, simulation.pos_1.xyz, ... Several are consecutive
    pieces of one run. After an interruption, the same command continues where it stopped. OUTPUT is
    in Hartree atomic units, like a client's record.
    """
    config = client_file.load_config(client)
    os.environ["OMP_NUM_THREADS"] = str(config.threads)
    # torch is loaded from here on
    from mlobs_client.client.alphas import report_alphas
    from mlobs_client.client.build import assemble
    from mlobs_client.client.observe import export_extxyz, observe_trajectory
    from mlobs_client.client.session import describe
    from mlobs_client.client.workers import workers
    from mlobs_client.record.reader import open_record

    n_frames, open_frames = _open(trajectory)
    assembly = assemble(config, client.parent)
    report_alphas(assembly.alphas, frozenset(wanted))
    several = workers(client, wanted, at_once) if at_once > 1 else nullcontext()
    with make_bar(stays=False) as bar, several as elsewhere:
        task = bar.add_task("frames", total=n_frames)
        observe_trajectory(
            open_frames(),
            assembly.evaluators,
            wanted,
            output,
            terms=assembly.terms,
            pbc=assembly.structure.pbc,
            batch_size=batch_size,
            elsewhere=elsewhere,
            attributes=describe(config, client),
            progress=lambda done: bar.update(task, completed=done),
        )
        bar.update(task, completed=n_frames)
    click.echo(f"{output}: {', '.join(wanted)} of {n_frames} frames, atomic units")
    if extxyz is not None:
        export_extxyz(open_record(output), open_frames(), extxyz, assembly.structure.pbc)
        click.echo(f"{extxyz}: the same in eV and angstrom")


def _open(trajectory: tuple[Path, ...]) -> tuple[int, Callable[[], Iterable[Frame]]]:
    """Return the number of frames, and a function that reads them from the start."""
    from mlobs_client.ipi.trajectory import iterate_beads, open_beads, open_trajectory

    are_files = [path.is_file() for path in trajectory]
    if all(are_files):
        _refuse_beads(trajectory)
        reader = open_trajectory(*trajectory)
        return len(reader), lambda: reader
    if any(are_files):
        missing = trajectory[are_files.index(False)]
        raise RecordError(
            f"{missing}: is not a file, but others are; give files only, or common names of beads"
        )
    n_frames = sum(len(reader) for reader in open_beads(*trajectory))
    return n_frames, lambda: iterate_beads(*trajectory)


def _refuse_beads(files: tuple[Path, ...]) -> None:
    """Refuse simulation.pos_*.xyz from a shell: files must be pieces of one run, not its beads."""
    bases = [re.sub(r"_\d+(\.\w+)?$", "", str(path)) for path in files]
    if len(set(files)) > len(set(bases)):
        raise RecordError(
            f"{files[0]} and {files[1]} are beads of one run, not its pieces; give the common name "
            f"of all beads: {bases[0]}"
        )
