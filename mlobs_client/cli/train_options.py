"""Options of ``mlobs train``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mlobs_client.cli.options import Decorator, FiniteRange, SpeciesNumbers, in_order
from mlobs_client.quantities import QUANTITIES, Quantity

if TYPE_CHECKING:
    from mlobs_client.learn.charges import Origin
    from mlobs_client.learn.data_set import Vary

DIPOLE: Final = QUANTITIES["dipole"]
POLARIZABILITY: Final = QUANTITIES["polarizability"]
PARTS: Final = {
    "channels": (1, 1024),
    "layers": (1, 8),
    "correlation": (1, 4),
    "degree": (0, 2),
    "radial": (1, 1024),
}
"""Parts of a network with their smallest and largest numbers; beyond these, a network would take
hours to build, or more memory than there is."""


@dataclass(frozen=True)
class Options:
    """Options that all commands share."""

    frames: Path
    output: Path
    members: int
    seed: int
    steps: int | None
    size: str
    cutoff: float
    rate: float | None
    batch: int | None
    also: tuple[tuple[Path, float], ...]
    test: tuple[Path, ...]
    test_group: str
    test_fraction: float
    start: Path | None
    patience: int | None
    vary: Vary
    at_once: int
    device: str
    threads: int
    compile: bool | None
    network: dict[str, int | tuple[int, ...]]
    transpose: bool = False
    origin: Origin | None = None
    pair_repulsion: bool = False
    weights: dict[str, float] = field(default_factory=dict)


def _network(
    context: click.Context, parameter: click.Parameter, text: str
) -> dict[str, int | tuple[int, ...]]:
    """Return the parts of a network, as in ``channels=32,radial=64-64``."""
    parts: dict[str, int | tuple[int, ...]] = {}
    for entry in filter(None, text.split(",")):
        name, _, numbers = entry.partition("=")
        if name not in PARTS:
            raise click.BadParameter(f"{entry!r}: write NAME=N, with a NAME of {', '.join(PARTS)}")
        if name in parts:
            raise click.BadParameter(f"{entry!r}: {name} is given twice; leave one of them out")
        lowest, highest = PARTS[name]
        widths = numbers.split("-") if name == "radial" else [numbers]
        if not all(width.isdecimal() and lowest <= int(width) <= highest for width in widths):
            several = ", or several of them such as 64-64" if name == "radial" else ""
            raise click.BadParameter(
                f"{entry!r}: {name} is a whole number from {lowest} to {highest}{several}"
            )
        parts[name] = tuple(map(int, widths)) if name == "radial" else int(numbers)
    return parts


def _weighted_files(
    context: click.Context, parameter: click.Parameter, entries: tuple[str, ...]
) -> tuple[tuple[Path, float], ...]:
    """Return files with their weights, which are positive."""
    files = []
    for entry in entries:
        name, _, text = entry.rpartition("=")
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not name:
            raise click.BadParameter(f"{entry!r} has no weight; write FILE=WEIGHT, as gas.xyz=0.1")
        if not 0.0 < weight < math.inf:
            raise click.BadParameter(
                f"{entry!r}: the weight {text!r} is not a positive number; write FILE=WEIGHT, as "
                "gas.xyz=0.1"
            )
        files.append((Path(name), weight))
    return tuple(files)


of_members = in_order(
    click.option("--start", type=click.Path(path_type=Path),
                 help="Start from the members of a folder of 'mlobs train', or all from one "
                 "model file of MACE that knows the species, such as a foundation model; size "
                 "and cutoff are those of the networks, the default rate is a tenth."),
    click.option("--patience", type=click.IntRange(1),
                 help="End a member after so many validations (of 20) without a smaller "
                 "error."),
    click.option("--vary", default="split", show_default=True,
                 type=click.Choice(["split", "seed", "bootstrap"]),
                 help="Difference between members: each has its own initial weights and order "
                 "of structures; with 'split' also its own tenth for validation, with "
                 "'bootstrap' also its own sample of the training structures, with repeats."),
    click.option("--at-once", default=1, show_default=True, type=click.IntRange(1),
                 help="Number of members that are trained at once, each in a process with "
                 "--threads threads."),
    click.option("--device", default="cpu", show_default=True,
                 help="Device that torch uses, such as cpu or cuda."),
    click.option("--threads", default=1, show_default=True, type=click.IntRange(1),
                 help="Number of threads that torch uses."),
    click.option("--compile/--no-compile", default=None,
                 help="Compile the steps on a CPU, which takes some minutes and makes each "
                 "several times faster.  [default: for long trainings]"),
)  # fmt: skip


def shared(steps: int, rate: float) -> Decorator:
    """Add the options of :class:`Options`; ``steps`` and ``rate`` are the defaults of a kind."""
    return in_order(
        click.argument("frames", metavar="FRAMES.extxyz", type=click.Path(path_type=Path)),
        click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
                     help="Folder for the committee."),
        click.option("-m", "--members", default=4, show_default=True, type=click.IntRange(1),
                     help="Number of networks, see --vary."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0),
                     help="Seed of the test set and of the first member; member i, counted from "
                     "0, uses this seed plus i."),
        click.option("--steps", type=click.IntRange(4),
                     help=f"Number of optimizer steps.  [default: {steps}]"),
        click.option("--size", default="small", show_default=True,
                     type=click.Choice(["small", "medium", "large"]),
                     help="Size of the networks: 8, 16 or 32 channels."),
        click.option("--network", default="", metavar="NAME=N,...", callback=_network,
                     help="Parts of the network that differ from --size: channels, layers, "
                     "correlation, degree (of a potential), radial; for example "
                     "channels=32,radial=64-64."),
        click.option("--cutoff", default=5.0, show_default=True,
                     type=FiniteRange(0.0, min_open=True),
                     help="Cutoff radius of the networks, angstrom."),
        click.option("--rate", type=FiniteRange(0.0, min_open=True),
                     help=f"Maximum learning rate.  [default: {rate}]"),
        click.option("--batch", type=click.IntRange(1),
                     help="Number of structures per step.  [default: as many as make about 200 "
                     "atoms]"),
        click.option("--also", multiple=True, metavar="FILE=WEIGHT", callback=_weighted_files,
                     help="Further structures, for training only: each step has a batch of them, "
                     "whose squared error has this weight (that of FRAMES is 1). They may have any "
                     "of the labels; their energies have a zero of their own, unless a key 'head' "
                     "names the same level of theory. Can be repeated."),
        click.option("--test-fraction", default=0.1, show_default=True,
                     type=FiniteRange(0.0, 0.5, min_open=True),
                     help="Fraction of the structures that is held out from all members, "
                     "without --test."),
        click.option("--test", multiple=True, metavar="FILE.extxyz",
                     type=click.Path(path_type=Path),
                     help="Structures to hold out instead, such as another trajectory or "
                     "temperature. Can be repeated."),
        click.option("--test-group", metavar="KEY", default="",
                     help="Hold out whole groups of structures, those with the same KEY in the "
                     "comment line, such as trajectories.  [default: single structures, which "
                     "look too easy if they are frames of one trajectory]"),
        of_members,
    )  # fmt: skip


of_dipoles = in_order(
    click.option("--key", default=DIPOLE.label, show_default=True,
                 help="Name of the total dipole in the comment lines."),
    click.option("--unit", default="e*angstrom", show_default=True,
                 type=click.Choice(list(DIPOLE.to_users.others)), help="Unit of the dipoles."),
    click.option("--oxidation-numbers", type=SpeciesNumbers(),
                 help="Oxidation number of each species.  [default: the column oxn or Qs]"),
    click.option("--origin", type=click.Choice(["mass", "charge", "positions"]),
                 help="Origin of the dipoles of charged structures, whose charge is the sum of the "
                 "oxidation numbers: centre of mass, centre of nuclear charges, or origin of the "
                 "positions.  [default: refuse charged structures]"),
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

of_energies = in_order(
    click.option("--energy-key", default="energy", show_default=True,
                 help="Name of the energies (in eV) in the comment lines."),
    click.option("--forces-key", default="forces", show_default=True,
                 help="Name of the column of forces (in eV/angstrom)."),
)  # fmt: skip

of_potentials = in_order(
    of_energies,
    click.option("--stress-key", default="stress", show_default=True,
                 help="Name of the stress (in eV/angstrom^3, six or nine numbers; ASE's sign) in "
                 "the comment lines; learned where the first structure has one."),
    click.option("--pair-repulsion", is_flag=True,
                 help="Add the repulsion of nuclei at distances below the sum of their covalent "
                 "radii (ZBL, as mace_run_train does), where structures to learn from are rare."),
    click.option("--energy-weight", default=10.0, show_default=True, type=FiniteRange(0.0),
                 help="Weight of squared errors of energies in eV/atom; that of forces in "
                 "eV/angstrom is 1."),
    click.option("--stress-weight", default=1.0, show_default=True, type=FiniteRange(0.0),
                 help="Weight of squared errors of stress times volume in eV/atom."),
)  # fmt: skip


def factor(row: Quantity, unit: str) -> float:
    """Return the factor that converts labels to the unit of the networks."""
    return row.to_users.others[unit] / row.to_users.factor
