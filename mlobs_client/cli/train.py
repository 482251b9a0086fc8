"""``mlobs train``: committees of dipoles, polarizabilities, and energies with dipoles."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mlobs_client import units
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import FiniteRange
from mlobs_client.plot import plot_parity, save

if TYPE_CHECKING:
    from mlobs_client.learn.accuracy import Accuracy
    from mlobs_client.learn.data_set import DataSet
    from mlobs_client.learn.networks import Kind
    from mlobs_client.learn.training import Settings

MOST_LINES: Final = 10
"""Of a list on the terminal."""

TOO_MANY: Final = 0.1
"""Of the labels; then the branches were not found."""


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
        click.option("--key", default="dipole", show_default=True,
                     help="Of the total dipole in the comment lines."),
        click.option("--unit", default="e*angstrom", show_default=True,
                     type=click.Choice(list(units.DIPOLE_UNITS)), help="Of the dipoles."),
        click.option("--oxidation-numbers", type=_SpeciesNumbers(),
                     help="Integers by species; without them, a column oxn or Qs is read."),
        click.option("--branches", default="fold", show_default=True,
                     type=click.Choice(["fold", "keep"]),
                     help="'keep': all dipoles are on one smooth branch already."),
        click.option("--born-charges-key",
                     help="Column of nine numbers in e, [i, j] = d dipole_i / d R_j; learned "
                     "along."),
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
    **others: Any,
) -> None:
    """Dipoles of periodic structures, with labels on any branch.

    A label is known modulo e times the lattice vectors. Networks (AtomicDipolesMACE) learn what is
    left of it without e sum N_I R_I, N being integer oxidation numbers that add up to zero. Labels
    are put on the branch next to a first prediction by charges that pass along pairs of atoms, and
    later follow the network to the branch next to its own. The branches are reported: which
    labels moved, and which of them no branch explains; none is left out.
    """
    labels = {"dipole": (key, units.DIPOLE_UNITS[unit] / units.ANGSTROM)}
    if born_charges_key is not None:
        labels["born_charges"] = (born_charges_key, 1.0)
    _train("dipole", labels, oxidation_numbers, branches, Options(**others))


@command.command(epilog="Example:  mlobs train polarizability water.extxyz --key alpha -o alphas")
@_options
@click.option("--key", default="polarizability", show_default=True, help="Of nine numbers.")
@click.option(
    "--unit", default="angstrom^3", show_default=True,
    type=click.Choice(list(units.POLARIZABILITY_UNITS)), help="Of the polarizabilities.",
)  # fmt: skip
def polarizability(key: str, unit: str, **others: Any) -> None:
    """Polarizabilities, symmetric tensors of degrees 0 and 2.

    Of the networks (AtomicDielectricMACE), only the polarizability is trained: their dipole is a
    random number.
    """
    factor = units.POLARIZABILITY_UNITS[unit] / units.ANGSTROM**3
    labels = {"polarizability": (key, factor)}
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
    energy_key: str,
    forces_key: str,
    **others: Any,
) -> None:
    """Energies, forces and dipoles of one network, so that a field costs next to nothing.

    The networks are EnergyDipolesMACE; for dipoles see 'mlobs train dipole'. Where all structures
    have one composition, energies mean something as differences between such structures only.
    """
    labels = {
        "dipole": (key, units.DIPOLE_UNITS[unit] / units.ANGSTROM),
        "energy": (energy_key, 1.0),
        "forces": (forces_key, 1.0),
    }
    if born_charges_key is not None:
        labels["born_charges"] = (born_charges_key, 1.0)
    _train("energy-dipole", labels, oxidation_numbers, branches, Options(**others))


def _train(
    kind: Kind,
    labels: Mapping[str, tuple[str, float]],
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    options: Options,
) -> None:
    console = log_to_console(logging.WARNING)
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from mlobs_client.learn import training
    from mlobs_client.learn.accuracy import assess
    from mlobs_client.learn.files import write_json

    settings = _settings(kind, labels, oxidation_numbers, branches, options)
    with console.status("reading"):
        data_set = training.read_data_set(settings, options.frames)
    for line in _describe_labels(data_set):
        console.print(line, markup=False, soft_wrap=True)
    with _shown(console, options.members, settings.steps) as report:
        paths = training.train_committee(
            settings, data_set, options.output, options.members, report, options.device
        )
    with console.status("testing"):
        networks = {str(path): training.load_member(path) for path in paths}
        accuracy = assess(data_set, networks)
    _print(Console(highlight=False), paths, data_set, accuracy)
    content = {
        "settings": settings.model_dump(mode="json"),
        "data": data_set.as_json(),
        "members": {path.name: training.read_record(path) for path in paths},
        **accuracy.as_json(),
    }
    write_json(options.output / "report.json", content)
    for name, compared in accuracy.compared.items():
        save(plot_parity(compared.curves, compared.quantity, compared.unit),
             options.output / f"parity_{name}")  # fmt: skip


def _settings(
    kind: Kind,
    labels: Mapping[str, tuple[str, float]],
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    options: Options,
) -> Settings:
    from mlobs_client.learn import training

    return training.Settings(
        kind=kind,
        data=training.data_digest(options.frames),
        labels=dict(labels),
        oxidation_numbers=oxidation_numbers,
        branches=branches,
        size=options.size,
        cutoff=options.cutoff,
        steps=options.steps or training.STEPS[kind],
        rate=options.rate or training.RATES[kind],
        batch=options.batch,
        test_fraction=options.test_fraction,
        seed=options.seed,
    )


@contextmanager
def _shown(
    console: Console, n_members: int, steps: int
) -> Iterator[Callable[[int, int, float], None]]:
    """A bar for each member, with the last error on its validation structures."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, refresh_per_second=2) as bar:
        tasks = [bar.add_task(f"member {m}", total=steps) for m in range(n_members)]

        def report(member: int, step: int, error: float) -> None:
            text = f"member {member}: {100 * error:.3g} %"
            bar.update(tasks[member], completed=step, description=text)

        yield report


def _print(console: Console, paths: Sequence[Path], data_set: DataSet, accuracy: Accuracy) -> None:
    n_test = len(data_set.test)
    table = Table(title=f"root mean square errors on {n_test} structures held out")
    for name in ("", "of", "rows", "error", "unit", "% of deviation", "spread"):
        table.add_column(name, justify="left" if name in ("", "of", "unit") else "right")
    for name, compared in accuracy.compared.items():
        for row in _rows(name, compared.as_json()):
            table.add_row(*row)
    console.print(table)
    for line in (*_describe_branches(data_set, accuracy), *_client_tables(paths, data_set)):
        console.print(line, markup=False, soft_wrap=True)


def _rows(name: str, found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    unit, n_rows = found["unit"], str(found["n_rows"])
    relative, spread = number(found["relative_percent"]), number(found["committee_spread"])
    yield name, "all", n_rows, number(found["rmse"]), unit, relative, spread
    for one, part in found["parts"].items():
        at_fixed_volume = part.get("percent_without_trend")
        percent = number(at_fixed_volume or part["relative_percent"])
        of = f"{one}, at fixed volume" if at_fixed_volume else one
        yield "", of, n_rows, number(part["rmse"]), unit, percent, ""
    if len(found["components"]) > 1:
        for one, error in found["components"].items():
            yield "", one, n_rows, number(error), unit, "", ""
    if len(found["classes"]) > 1:
        for one, of_class in found["classes"].items():
            yield "", one, str(of_class["n_rows"]), number(of_class["rmse"]), unit, "", ""


def _describe_labels(data_set: DataSet) -> Iterator[str]:
    """What there is to say before the training."""
    unsure = data_set.unsure
    if unsure:
        shown = ", ".join(map(str, unsure[:MOST_LINES]))
        more = f" and {len(unsure) - MOST_LINES} more" if len(unsure) > MOST_LINES else ""
        yield (
            f"the branches of structures {shown}{more} are a guess: nothing in the other "
            "structures is like them; leave them out, or add some that are"
        )


def _describe_branches(data_set: DataSet, accuracy: Accuracy) -> Iterator[str]:
    branches = accuracy.branches
    if branches is None or not branches.n_periodic:
        return
    if accuracy.rmse_in_quanta is not None:
        along = ", ".join(
            "-" if one is None else f"{100 * one:.2g}" for one in accuracy.rmse_in_quanta
        )
        yield f"dipole error along the lattice vectors: {along} % of a quantum"
    yield f"{branches.n_moved} of {branches.n_periodic} labels were moved to another branch"
    for quanta, n_labels in list(branches.moves.items())[:MOST_LINES]:
        yield f"  {n_labels} by {quanta}"
    if len(branches.moves) > MOST_LINES:
        yield f"  and others: see report.json, {len(branches.moves)} different quanta"
    n_unexplained = len(branches.unexplained)
    if n_unexplained > TOO_MANY * branches.n_periodic:
        yield (
            f"{n_unexplained} labels agree with no branch: look at --key, --unit and the oxidation "
            "numbers, or train longer; this committee should not be used"
        )
    for one in branches.unexplained[:MOST_LINES]:
        yield f"  look at structure {one.index}: {one.reason}"
    if n_unexplained > MOST_LINES:
        yield f"  and {n_unexplained - MOST_LINES} more: see report.json"


def _names(paths: Sequence[Path], kind: Kind) -> list[Path]:
    """A glob if it means these files and no other, else all of them."""
    glob = paths[0].with_name(f"{kind}-*.model")
    if {*glob.parent.glob(glob.name)} == {*paths}:
        return [glob]
    return list(paths)


def _client_tables(paths: Sequence[Path], data_set: DataSet) -> Iterator[str]:
    """Lines to be pasted, of the members that were tested."""
    names = _names(paths, data_set.kind)
    quoted = ", ".join(f'"{name.resolve()}"' for name in names)
    models = f'kind = "mace"\nmodels = [{quoted}]'
    trusted = " ".join(str(name) for name in names)
    yield f"\nfor a client file (trust the models first: mlobs model trust {trusted})"
    if data_set.kind == "polarizability":
        yield f"[polarizability]\n{models}"
        return
    if data_set.kind == "energy-dipole":
        yield f"[potential]\n{models}"
    yield f"[dipole]\n{models}"
    numbers = data_set.oxidation_numbers
    if numbers is not None and not any(numbers.values()) and not data_set.is_periodic:
        yield "# for molecules only: no oxidation numbers were given"
    elif numbers is None:
        yield "oxidation_numbers = [...]  # one for each atom, as in the file of structures"
    else:
        inside = ", ".join(f"{symbol} = {number}" for symbol, number in numbers.items())
        yield f"oxidation_numbers = {{ {inside} }}"
