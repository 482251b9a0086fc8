"""Reports of ``mlobs train``: on the labels before training, and on the networks after it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from mlobs_client.quantities import predicted

if TYPE_CHECKING:
    from mlobs_client.learn.accuracy import Accuracy
    from mlobs_client.learn.data_set import DataSet
    from mlobs_client.learn.held_out import HeldOut
    from mlobs_client.results.result import Points

MOST_LINES: Final = 10
"""Largest number of entries that a list on the terminal shows."""

TOO_MANY: Final = 0.1
"""Fraction of labels that agree with no branch; above it, the committee should not be used."""


def show(
    console: Console,
    paths: Sequence[Path],
    data_set: DataSet,
    accuracy: Accuracy,
    held_out: HeldOut,
) -> None:
    """Print errors, alpha and cost on the test set, branches, and tables for a client file."""
    n_test = len(data_set.test)
    table = Table(title=f"root mean square errors on {n_test} held-out structures")
    for name in ("", "part", "rows", "error", "unit", "% of deviation", "spread"):
        table.add_column(name, justify="left" if name in ("", "part", "unit") else "right")
    for name, compared in accuracy.compared.items():
        for row in _rows(name, compared.as_json()):
            table.add_row(*row)
    console.print(table)
    lines = (
        *_describe_split(data_set),
        *_describe_held_out(held_out),
        *_describe_branches(data_set, accuracy),
        *_client_tables(paths, data_set),
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _rows(name: str, found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    unit, n_rows = found["unit"], str(found["n_rows"])
    relative, spread = number(found["relative_percent"]), number(found["committee_spread"])
    yield name, "all", n_rows, number(found["rmse"]), unit, relative, spread
    for one, part in found["parts"].items():
        at_fixed_volume = part.get("percent_without_trend")
        whole = at_fixed_volume is None
        percent = number(part["relative_percent"] if whole else at_fixed_volume)
        of = one if whole else f"{one}, at fixed volume"
        yield "", of, n_rows, number(part["rmse"]), unit, percent, ""
    if len(found["components"]) > 1:
        for one, error in found["components"].items():
            yield "", one, n_rows, number(error), unit, "", ""
    if len(found["classes"]) > 1:
        for one, of_class in found["classes"].items():
            yield "", one, str(of_class["n_rows"]), number(of_class["rmse"]), unit, "", ""


def learning_curves(members: Mapping[str, Mapping[str, Any]]) -> tuple[Points, ...]:
    """Return the error of each validation against the step, for each record of a member."""
    from mlobs_client.results.estimate import Estimate
    from mlobs_client.results.result import Points

    curves = []
    for name, record in members.items():
        checks, reason = record["checks"], "error of one network"
        errors = [
            Estimate(check["error"], math.nan, "1", record["n_valid"], reason) for check in checks
        ]
        steps = np.array([check["step"] for check in checks], dtype=float)
        axis = ("relative error", "step", "1")
        curves.append(Points(*axis, steps, tuple(errors), name, is_line=True))
    return tuple(curves)


def _describe_split(data_set: DataSet) -> Iterator[str]:
    if data_set.held_out.by == "random":
        yield (
            "warning: the held-out structures were drawn at random; if they are frames of one "
            "trajectory, each lies between frames for training, and the errors look too small: "
            "hold out other trajectories or temperatures, with --test or --test-group"
        )


def _describe_held_out(held_out: HeldOut) -> Iterator[str]:
    for name, one in held_out.calibrations.items():
        if isinstance(one, str):
            yield f"alpha of {name}: unknown, {one}"
        else:
            yield (
                f"alpha of {name}: {one.alpha:.2f} ± {one.error:.2f}, from {one.n_frames} "
                "held-out structures (mlobs calibrate writes it to a card, from other structures)"
            )
    yield (
        f"cost: {held_out.milliseconds:.3g} ms per atom for all members and their derivatives "
        f"({held_out.n_atoms} atoms)"
    )


def describe_labels(data_set: DataSet) -> Iterator[str]:
    """Describe the order of the Born charges, and labels whose branch is uncertain."""
    order = data_set.order
    if order is not None and order.reason:
        yield (
            "the order of the Born charges is unknown, [i, j] = d dipole_i / d R_j or [j, i] "
            f"(--transpose): {order.reason}"
        )
    elif order is not None:
        yield (
            "the Born charges are [i, j] = d dipole_i / d R_j: their antisymmetric parts have "
            f"a correlation of {order.correlation:.2f} with those of a model"
        )
    unsure = data_set.unsure
    if unsure:
        shown = ", ".join(map(str, unsure[:MOST_LINES]))
        more = f" and {len(unsure) - MOST_LINES} more" if len(unsure) > MOST_LINES else ""
        yield (
            f"the branches of structures {shown}{more} are uncertain: no other structures resemble "
            "them; leave them out, or add similar ones"
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
        yield f"  and others: report.json lists all {len(branches.moves)}"
    n_unexplained = len(branches.unexplained)
    if n_unexplained > TOO_MANY * branches.n_periodic:
        yield (
            f"{n_unexplained} labels agree with no branch: check --key, --unit and the oxidation "
            "numbers, or train longer; do not use this committee"
        )
    for one in branches.unexplained[:MOST_LINES]:
        yield f"  structure {one.index}: {one.reason}"
    if n_unexplained > MOST_LINES:
        yield f"  and {n_unexplained - MOST_LINES} more: see report.json"


def _names(paths: Sequence[Path], kind: str) -> list[Path]:
    """Return a pattern if it matches exactly these files, else all paths."""
    glob = paths[0].with_name(f"{kind}-*.model")
    if {*glob.parent.glob(glob.name)} == {*paths}:
        return [glob]
    return list(paths)


def _client_tables(paths: Sequence[Path], data_set: DataSet) -> Iterator[str]:
    """Yield the lines to paste into a client file for the members that were tested."""
    names = _names(paths, data_set.kind)
    quoted = ", ".join(f'"{name.resolve()}"' for name in names)
    models = f'kind = "mace"\nmodels = [{quoted}]'
    yield "\nfor a client file (the models are trusted here; elsewhere, run 'mlobs model trust')"
    for row in predicted():
        if row.name in data_set.learns:
            yield f"[{row.table}]\n{models}"
    if "dipole" not in data_set.learns:
        return
    numbers = data_set.oxidation_numbers
    if numbers is not None and not any(numbers.values()) and not data_set.is_periodic:
        yield "# for molecules only: no oxidation numbers were given"
    elif numbers is None:
        yield "oxidation_numbers = [...]  # one for each atom, as in the file of structures"
    else:
        inside = ", ".join(f"{symbol} = {number}" for symbol, number in numbers.items())
        yield f"oxidation_numbers = {{ {inside} }}"
