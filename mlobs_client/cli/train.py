"""``mlobs train``: committees of dipoles, polarizabilities, and energies with dipoles."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from rich.console import Console

from mlobs_client.cli import train_progress, train_report
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import FiniteRange, command_line
from mlobs_client.plot import write
from mlobs_client.quantities import QUANTITIES, Quantity

if TYPE_CHECKING:
    from mlobs_client.learn.training import TrainingSettings


DIPOLE: Final = QUANTITIES["dipole"]
POLARIZABILITY: Final = QUANTITIES["polarizability"]


class _SpeciesNumbers(click.ParamType[dict[str, int]]):
    """Integers by species: O=-2,H=1."""

    name = "O=-2,H=1"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        found = {}
        for part in str(value).split(","):
            symbol, _, number = part.partition("=")
            try:
                found[symbol.strip()] = int(number)
            except ValueError:
                self.fail(f"{part!r} is no species with an integer; write O=-2,H=1", param, ctx)
        return found


@dataclass(frozen=True)
class Options:
    """What all three commands are given."""

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


def _options(function: Callable[..., None]) -> Callable[..., None]:
    decorators: list[Callable[[Any], Any]] = [
        click.argument("frames", metavar="FRAMES.extxyz", type=click.Path(path_type=Path)),
        click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
                     help="Folder of the committee."),
        click.option("-m", "--members", default=4, show_default=True, type=click.IntRange(1),
                     help="Networks, each with its own seed and split."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0),
                     help="Of what is held out and of the first member; the others count on."),
        click.option("--steps", type=click.IntRange(4),
                     help="Of the optimizer. [default: dipole 1000, polarizability 3000, "
                     "energy-dipole 5000]"),
        click.option("--size", default="small", show_default=True,
                     type=click.Choice(["small", "medium", "large"]),
                     help="Of the networks: 8, 16, 32 channels."),
        click.option("--cutoff", default=5.0, show_default=True,
                     type=FiniteRange(0.0, min_open=True), help="Angstrom."),
        click.option("--rate", type=FiniteRange(0.0, min_open=True),
                     help="Highest learning rate. [default: 0.02, 0.05, 0.01]"),
        click.option("--batch", type=click.IntRange(1),
                     help="Structures of a step. [default: about 200 atoms]"),
        click.option("--test-fraction", default=0.1, show_default=True,
                     type=FiniteRange(0.0, 0.5, min_open=True),
                     help="Of the structures, held out from all members."),
        click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
        click.option("--threads", default=1, show_default=True, type=click.IntRange(1)),
    ]  # fmt: skip
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def _dipole_options(function: Callable[..., None]) -> Callable[..., None]:
    decorators: list[Callable[[Any], Any]] = [
        click.option("--key", default=DIPOLE.label, show_default=True,
                     help="Of the total dipole in the comment lines."),
        click.option("--unit", default="e*angstrom", show_default=True,
                     type=click.Choice(list(DIPOLE.to_users.others)), help="Of the dipoles."),
        click.option("--oxidation-numbers", type=_SpeciesNumbers(),
                     help="Integers by species; without them, a column oxn or Qs is read."),
        click.option("--branches", default="fold", show_default=True,
                     type=click.Choice(["fold", "keep"]),
                     help="'keep': all dipoles are on one smooth branch already."),
        click.option("--born-charges-key",
                     help="Column of nine numbers in e, [i, j] = d dipole_i / d R_j."),
        click.option("--transpose", is_flag=True, help="Born charges are [j, i] in the file."),
    ]  # fmt: skip
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


@click.group(
    epilog="Example:  mlobs train dipole water.extxyz --oxidation-numbers O=-2,H=1 -o dipoles"
)
def command() -> None:
    """Train committees of networks on labelled structures.

    FRAMES.extxyz is what ASE reads, in angstrom and eV. A part of the structures is held out from
    all members; of the rest, each member takes its own tenth to decide which of its weights are
    kept. The networks are MACE's own, and their files load with plain mace-torch.

    The same line again completes what is missing: members that are done stay, one in the middle
    goes on from its last check. More --members may be asked for later.
    """


@command.command(
    epilog="Example:  mlobs train dipole water.extxyz --key mu --unit debye --oxidation-numbers "
    "O=-2,H=1 -o dipoles"
)
@_options
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
    """Dipoles of periodic structures, with labels on any branch.

    A label is known modulo e times the lattice vectors. Networks (AtomicDipolesMACE) learn what is
    left of it without e sum N_I R_I, N being integer oxidation numbers that add up to zero. Labels
    are put on the branch next to a first prediction by charges that pass along pairs of atoms, and
    later follow the network to the branch next to its own. The branches are reported: which
    labels moved, and which of them no branch explains; none is left out.
    """
    labels = {"dipole": (key, _factor(DIPOLE, unit))}
    _add_born_charges(labels, born_charges_key, transpose)
    _train("dipole", labels, oxidation_numbers, branches, Options(**others, transpose=transpose))


@command.command(epilog="Example:  mlobs train polarizability water.extxyz --key alpha -o alphas")
@_options
@click.option("--key", default=POLARIZABILITY.label, show_default=True, help="Of nine numbers.")
@click.option(
    "--unit", default="angstrom^3", show_default=True,
    type=click.Choice(list(POLARIZABILITY.to_users.others)), help="Of the polarizabilities.",
)  # fmt: skip
def polarizability(key: str, unit: str, **others: Any) -> None:
    """Polarizabilities, symmetric tensors of degrees 0 and 2.

    Of the networks (AtomicDielectricMACE), only the polarizability is trained: their dipole is a
    random number.
    """
    labels = {"polarizability": (key, _factor(POLARIZABILITY, unit))}
    _train("polarizability", labels, None, "fold", Options(**others))


@command.command(
    "energy-dipole",
    epilog="Example:  mlobs train energy-dipole water.extxyz --energy-key REF_energy "
    "--forces-key REF_forces --oxidation-numbers O=-2,H=1 -o both",
)
@_options
@_dipole_options
@click.option("--energy-key", default="energy", show_default=True, help="Of energies in eV.")
@click.option("--forces-key", default="forces", show_default=True, help="Of forces in eV/angstrom.")
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
    """Energies, forces and dipoles of one network, so that a field costs next to nothing.

    The networks are EnergyDipolesMACE; for dipoles see 'mlobs train dipole'. Where all structures
    have one composition, energies mean something as differences between such structures only.
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
    """The factor that gives labels the unit of networks."""
    return row.to_users.others[unit] / row.to_users.factor


def _add_born_charges(
    labels: dict[str, tuple[str, float]], key: str | None, transpose: bool
) -> None:
    if key is not None:
        labels["born_charges"] = (key, 1.0)
    elif transpose:
        raise click.UsageError("--transpose is of Born charges; give their --born-charges-key")


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
    from mlobs_client.results.result import Provenance, Result

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
        title = f"{compared.quantity} on structures held out"
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
