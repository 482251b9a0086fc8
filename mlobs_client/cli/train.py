"""``mlobs train``: train committees for dipoles, polarizabilities, or energies with dipoles."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from rich.console import Console

from mlobs_client.cli import train_progress, train_report
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import Decorator, FiniteRange, SpeciesNumbers, command_line, in_order
from mlobs_client.plot import write
from mlobs_client.quantities import QUANTITIES, Quantity

if TYPE_CHECKING:
    from mlobs_client.learn.training import TrainingSettings


DIPOLE: Final = QUANTITIES["dipole"]
POLARIZABILITY: Final = QUANTITIES["polarizability"]


@dataclass(frozen=True)
class Options:
    """Options that all three commands share."""

    frames: Path
    output: Path
    members: int
    seed: int
    steps: int | None
    size: str
    cutoff: float
    rate: float | None
    batch: int | None
    test_fraction: float
    device: str
    threads: int
    transpose: bool = False


def _options(steps: int, rate: float) -> Decorator:
    """Add the options of :class:`Options`; ``steps`` and ``rate`` are the defaults of a kind."""
    return in_order(
        click.argument("frames", metavar="FRAMES.extxyz", type=click.Path(path_type=Path)),
        click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
                     help="Folder for the committee."),
        click.option("-m", "--members", default=4, show_default=True, type=click.IntRange(1),
                     help="Number of networks, each with its own seed and split."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0),
                     help="Seed of the test set and of the first member; member i, counted from "
                     "0, uses this seed plus i."),
        click.option("--steps", type=click.IntRange(4),
                     help=f"Number of optimizer steps.  [default: {steps}]"),
        click.option("--size", default="small", show_default=True,
                     type=click.Choice(["small", "medium", "large"]),
                     help="Size of the networks: 8, 16 or 32 channels."),
        click.option("--cutoff", default=5.0, show_default=True,
                     type=FiniteRange(0.0, min_open=True),
                     help="Cutoff radius of the networks, angstrom."),
        click.option("--rate", type=FiniteRange(0.0, min_open=True),
                     help=f"Maximum learning rate.  [default: {rate}]"),
        click.option("--batch", type=click.IntRange(1),
                     help="Number of structures per step.  [default: as many as make about 200 "
                     "atoms]"),
        click.option("--test-fraction", default=0.1, show_default=True,
                     type=FiniteRange(0.0, 0.5, min_open=True),
                     help="Fraction of the structures that is held out from all members."),
        click.option("--device", default="cpu", show_default=True,
                     help="Device that torch uses, such as cpu or cuda."),
        click.option("--threads", default=1, show_default=True, type=click.IntRange(1),
                     help="Number of threads that torch uses."),
    )  # fmt: skip


_dipole_options = in_order(
    click.option("--key", default=DIPOLE.label, show_default=True,
                 help="Name of the total dipole in the comment lines."),
    click.option("--unit", default="e*angstrom", show_default=True,
                 type=click.Choice(list(DIPOLE.to_users.others)), help="Unit of the dipoles."),
    click.option("--oxidation-numbers", type=SpeciesNumbers(),
                 help="Oxidation number of each species.  [default: the column oxn or Qs]"),
    click.option("--branches", default="fold", show_default=True,
                 type=click.Choice(["fold", "keep"]),
                 help="'fold' finds the branch of each label; 'keep' changes none, for "
                 "labels that are already on one smooth branch."),
    click.option("--born-charges-key",
                 help="Name of the Born charges, a column of nine numbers in e: [i, j] = "
                 "d dipole_i / d R_j.  [default: train without them]"),
    click.option("--transpose", is_flag=True,
                 help="Read the Born charges in the file as [i, j] = d dipole_j / d R_i."),
)  # fmt: skip


@click.group(
    epilog="Example:  mlobs train dipole water.extxyz --oxidation-numbers O=-2,H=1 -o dipoles"
)
def command() -> None:
    """Train committees of networks on labelled structures.

    FRAMES.extxyz is a file that ASE can read, in angstrom and eV. Some of the structures are
    held out from all members. Of the rest, each member sets aside its own random tenth for
    validation, and keeps the weights with the smallest error there. The networks are MACE's own,
    and their files load with plain mace-torch.

    After an interruption, the same command completes what is missing: members that are done are
    kept, and an unfinished one continues from its last validation. To add members later, give a
    larger --members.
    """


@command.command(
    epilog="Example:  mlobs train dipole water.extxyz --key mu --unit debye --oxidation-numbers "
    "O=-2,H=1 -o dipoles"
)
@_options(1000, 0.02)
@_dipole_options
def dipole(
    key: str,
    unit: str,
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    born_charges_key: str | None,
    transpose: bool,
    **others: Any,
) -> None:
    """Train networks for dipoles of periodic structures; labels may be on any branch.

    A label is known only modulo e times the lattice vectors. The networks (AtomicDipolesMACE) learn
    the dipole without e sum N_I R_I, where the N_I are integer oxidation numbers that add up to
    zero. A model of charges that flow between pairs of atoms predicts the first branch of each
    label; later, each label follows the network to the branch nearest to its prediction. The report
    lists the labels that were moved, and those that agree with no branch; none is left out.
    """
    labels = {"dipole": (key, _factor(DIPOLE, unit))}
    _add_born_charges(labels, born_charges_key, transpose)
    _train("dipole", labels, oxidation_numbers, branches, Options(**others, transpose=transpose))


@command.command(epilog="Example:  mlobs train polarizability water.extxyz --key alpha -o alphas")
@_options(3000, 0.05)
@click.option("--key", default=POLARIZABILITY.label, show_default=True,
              help="Name of the polarizability (nine numbers) in the comment lines.")  # fmt: skip
@click.option(
    "--unit", default="angstrom^3", show_default=True,
    type=click.Choice(list(POLARIZABILITY.to_users.others)), help="Unit of the polarizabilities.",
)  # fmt: skip
def polarizability(key: str, unit: str, **others: Any) -> None:
    """Train networks for polarizabilities: symmetric tensors with parts of degrees 0 and 2.

    Only the polarizability of the networks (AtomicDielectricMACE) is trained; their dipole has no
    meaning.
    """
    labels = {"polarizability": (key, _factor(POLARIZABILITY, unit))}
    _train("polarizability", labels, None, "fold", Options(**others))


@command.command(
    "energy-dipole",
    epilog="Example:  mlobs train energy-dipole water.extxyz --energy-key REF_energy "
    "--forces-key REF_forces --oxidation-numbers O=-2,H=1 -o both",
)
@_options(5000, 0.01)
@_dipole_options
@click.option("--energy-key", default="energy", show_default=True,
              help="Name of the energies (in eV) in the comment lines.")  # fmt: skip
@click.option("--forces-key", default="forces", show_default=True,
              help="Name of the column of forces (in eV/angstrom).")  # fmt: skip
def energy_dipole(
    key: str,
    unit: str,
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    born_charges_key: str | None,
    transpose: bool,
    energy_key: str,
    forces_key: str,
    **others: Any,
) -> None:
    """Train networks that each give energies, forces and dipoles.

    With such networks, a simulation in an electric field takes hardly longer than one without a
    field. The networks are EnergyDipolesMACE; 'mlobs train dipole --help' explains their dipoles.
    If all structures have the same composition, only energy differences between structures of this
    composition are meaningful.
    """
    labels = {
        "dipole": (key, _factor(DIPOLE, unit)),
        "energy": (energy_key, 1.0),
        "forces": (forces_key, 1.0),
    }
    _add_born_charges(labels, born_charges_key, transpose)
    options = Options(**others, transpose=transpose)
    _train("energy-dipole", labels, oxidation_numbers, branches, options)


def _factor(row: Quantity, unit: str) -> float:
    """Return the factor that converts labels to the unit of the networks."""
    return row.to_users.others[unit] / row.to_users.factor


def _add_born_charges(
    labels: dict[str, tuple[str, float]], key: str | None, transpose: bool
) -> None:
    if key is not None:
        labels["born_charges"] = (key, 1.0)
    elif transpose:
        raise click.UsageError("--transpose needs Born charges; give their --born-charges-key")


def _train(
    kind: str,
    labels: Mapping[str, tuple[str, float]],
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    options: Options,
) -> None:
    console = log_to_console(logging.WARNING)
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from mlobs_client.files import write_json
    from mlobs_client.learn import training
    from mlobs_client.learn.accuracy import assess
    from mlobs_client.results.provenance import Provenance
    from mlobs_client.results.result import Result

    settings = _settings(kind, labels, oxidation_numbers, branches, options)
    with console.status("reading"):
        data_set = training.read_data_set(settings, options.frames)
    for line in train_report.describe_labels(data_set):
        console.print(line, markup=False, soft_wrap=True)
    with train_progress.shown(console, options.members, settings.steps) as report:
        paths = training.train_committee(
            settings, data_set, options.output, options.members, report, options.device
        )
    with console.status("testing"):
        networks = {str(path): training.load_member(path) for path in paths}
        accuracy = assess(data_set, networks)
    train_report.show(Console(highlight=False), paths, data_set, accuracy)
    content = {
        "settings": settings.model_dump(mode="json"),
        "data": data_set.as_json(),
        "members": {path.name: training.read_record(path) for path in paths},
        **accuracy.as_json(),
    }
    write_json(options.output / "report.json", content)
    origin = Provenance.of((options.frames, *paths), command_line())
    for name, compared in accuracy.compared.items():
        title = f"{compared.quantity} on held-out structures"
        write(
            Result(title, parities=compared.parities, provenance=origin),
            options.output / f"parity_{name}",
        )


def _settings(
    kind: str,
    labels: Mapping[str, tuple[str, float]],
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    options: Options,
) -> TrainingSettings:
    from mlobs_client.learn import training
    from mlobs_client.learn.networks import KINDS

    return training.TrainingSettings(
        kind=kind,
        data=training.data_digest(options.frames),
        labels=dict(labels),
        transpose=options.transpose,
        oxidation_numbers=oxidation_numbers,
        branches=branches,
        size=options.size,
        cutoff=options.cutoff,
        steps=options.steps or KINDS[kind].steps,
        rate=options.rate or KINDS[kind].rate,
        batch=options.batch,
        test_fraction=options.test_fraction,
        seed=options.seed,
    )
