"""``mlobs train``: train committees for energies, dipoles, polarizabilities."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
from click.core import ParameterSource
from rich.console import Console

from mlobs_client.cli import train_progress, train_report
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import command_line
from mlobs_client.cli.train_options import (
    DIPOLE,
    POLARIZABILITY,
    Options,
    factor,
    of_dipoles,
    of_energies,
    of_potentials,
    shared,
)
from mlobs_client.plot import write

if TYPE_CHECKING:
    from mlobs_client.learn.data_set import DataSet
    from mlobs_client.learn.settings import TrainingSettings
    from mlobs_client.learn.start import Start


SLOWER: Final = 10.0
"""Ratio of the default learning rates from random weights and from those of --start."""


@click.group(
    epilog="Example:  mlobs train dipole water.extxyz --oxidation-numbers O=-2,H=1 -o dipoles"
)
def command() -> None:
    """Train committees of networks on labelled structures.

    FRAMES.extxyz is a file that ASE can read, in angstrom and eV. Some of the structures are
    held out from all members. Of the rest, each member sets aside a random tenth for
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
@shared(1000, 0.02)
@of_dipoles
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
    labels = {"dipole": (key, factor(DIPOLE, unit))}
    _add_born_charges(labels, born_charges_key, transpose)
    _train("dipole", labels, oxidation_numbers, branches, Options(**others, transpose=transpose))


@command.command(epilog="Example:  mlobs train polarizability water.extxyz --key alpha -o alphas")
@shared(3000, 0.05)
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
    labels = {"polarizability": (key, factor(POLARIZABILITY, unit))}
    _train("polarizability", labels, None, "fold", Options(**others))


@command.command(
    epilog="Example:  mlobs train potential water.extxyz --energy-key REF_energy --forces-key "
    "REF_forces -o potentials"
)
@shared(5000, 0.01)
@of_potentials
def potential(
    energy_key: str,
    forces_key: str,
    stress_key: str,
    energy_weight: float,
    stress_weight: float,
    **others: Any,
) -> None:
    """Train networks for energies and forces, and for stress where the structures have it.

    The networks (ScaleShiftMACE) learn the energy without that of free atoms, which is fitted to
    the compositions. If all structures have the same composition, only energy differences between
    structures of this composition are meaningful. Without a column of forces, energies are learned
    alone.
    """
    labels = {
        "energy": (energy_key, 1.0),
        "forces": (forces_key, 1.0),
        "stress": (stress_key, 1.0),
    }
    weights = {"energy": energy_weight, "virials": stress_weight}
    _train("potential", labels, None, "fold", Options(**others, weights=weights))


@command.command(
    "energy-dipole",
    epilog="Example:  mlobs train energy-dipole water.extxyz --energy-key REF_energy "
    "--forces-key REF_forces --oxidation-numbers O=-2,H=1 -o both",
)
@shared(5000, 0.01)
@of_dipoles
@of_energies
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
        "dipole": (key, factor(DIPOLE, unit)),
        "energy": (energy_key, 1.0),
        "forces": (forces_key, 1.0),
    }
    _add_born_charges(labels, born_charges_key, transpose)
    options = Options(**others, transpose=transpose)
    _train("energy-dipole", labels, oxidation_numbers, branches, options)


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
    _refuse_contradictions(options)
    console = log_to_console(logging.WARNING)
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from mlobs_client.learn import training
    from mlobs_client.learn.start import find_start

    start = None if options.start is None else find_start(options.start, kind)
    settings = _settings(kind, labels, oxidation_numbers, branches, options, start)
    also = [file for file, _ in options.also]
    with console.status("reading"):
        data_set = training.read_data_set(settings, options.frames, also, options.test, start)
    for line in train_report.describe_labels(data_set):
        console.print(line, markup=False, soft_wrap=True)
    with train_progress.shown(console, options.members, settings.steps) as report:
        paths = training.train_committee(
            settings, data_set, options.output, options.members, report, options.device,
            options.at_once, start,
        )  # fmt: skip
    inputs = (options.frames, *also, *options.test, *paths)
    _test(console, settings, data_set, paths, inputs)


def _refuse_contradictions(options: Options) -> None:
    given = click.get_current_context().get_parameter_source
    fixed = [
        name.replace("_", "-")
        for name in ("size", "cutoff", "network", "pair_repulsion")
        if given(name) not in (None, ParameterSource.DEFAULT)
    ]
    if options.start is not None and fixed:
        raise click.UsageError(f"--{fixed[0]} is that of the networks of --start; leave it out")
    if options.test and options.test_group:
        raise click.UsageError("--test and --test-group exclude each other; leave one of them out")


def _test(
    console: Console,
    settings: TrainingSettings,
    data_set: DataSet,
    paths: Sequence[Path],
    inputs: Sequence[Path],
) -> None:
    """Test the committee on held-out structures, show the errors, and write them with figures."""
    from mlobs_client.files import write_json
    from mlobs_client.learn.accuracy import assess
    from mlobs_client.learn.held_out import examine
    from mlobs_client.learn.member import read_record
    from mlobs_client.learn.training import load_member
    from mlobs_client.results.provenance import Provenance
    from mlobs_client.results.result import Result

    with console.status("testing"):
        networks = {str(path): load_member(path) for path in paths}
        accuracy, held_out = assess(data_set, networks), examine(data_set, networks)
    members = {path.name: read_record(path) for path in paths}
    train_report.show(Console(highlight=False), paths, data_set, accuracy, held_out)
    content = {
        "settings": settings.model_dump(mode="json"),
        "data": data_set.as_json(),
        "members": members,
        **accuracy.as_json(),
        **held_out.as_json(),
    }
    folder, origin = paths[0].parent, Provenance.of(inputs, command_line())
    write_json(folder / "report.json", content)
    curves = train_report.learning_curves(members)
    title = "relative error on validation structures"
    write(Result(title, points=curves, provenance=origin), folder / "learning_curve")
    for name, compared in accuracy.compared.items():
        title = f"{compared.quantity} on held-out structures"
        result = Result(title, parities=compared.parities, provenance=origin)
        write(result, folder / f"parity_{name}")


def _settings(
    kind: str,
    labels: Mapping[str, tuple[str, float]],
    oxidation_numbers: dict[str, int] | None,
    branches: Literal["fold", "keep"],
    options: Options,
    start: Start | None,
) -> TrainingSettings:
    from mlobs_client.learn import training
    from mlobs_client.learn.networks import KINDS
    from mlobs_client.learn.settings import TrainingSettings

    return TrainingSettings(
        kind=kind,
        data=training.data_digest(options.frames),
        labels=dict(labels),
        transpose=options.transpose,
        oxidation_numbers=oxidation_numbers,
        branches=branches,
        size=options.size,
        cutoff=options.cutoff if start is None else start.cutoff,
        steps=options.steps or KINDS[kind].steps,
        rate=options.rate or KINDS[kind].rate / (1 if start is None else SLOWER),
        batch=options.batch,
        test_fraction=options.test_fraction,
        seed=options.seed,
        weights=options.weights,
        network=options.network,
        test=tuple(map(training.data_digest, options.test)),
        test_group=options.test_group,
        origin=options.origin,
        vary=options.vary,
        start=() if start is None else start.digests,
        patience=options.patience,
        pair_repulsion=options.pair_repulsion,
        compile=options.compile,
        also=tuple((training.data_digest(file), weight) for file, weight in options.also),
    )
