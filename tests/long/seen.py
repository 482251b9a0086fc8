"""What was seen of a fault, and whether that is what should happen."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from launched import ROUNDING, Failure, Launched, Undisturbed

from mlobs_client.ipi import read_properties


@dataclass(frozen=True)
class Seen:
    """One row of the table.

    Attributes:
        happened: what the run said and how it ended.
        seconds: from the fault until the run went on, or until all had ended.
        lost: steps and evaluations that had to be done again, and whether numbers differ.
        passed: whether that is what should happen.
    """

    happened: str
    seconds: float
    lost: str
    passed: bool


def finish(run: Launched, undisturbed: Undisturbed, seconds: float, *expected: str) -> Seen:
    """Let a run go to its end, and compare it with one where nothing happened.

    Args:
        run: after the fault.
        undisturbed: to compare with.
        seconds: that the recovery took.
        expected: patterns of what it must have said.
    """
    if status := run.wait():
        raise Failure(f"exit status {status}: {run.happened}")
    return judge(run, undisturbed, seconds, *expected)


def judge(run: Launched, undisturbed: Undisturbed, seconds: float, *expected: str) -> Seen:
    """Compare a run that has ended with one where nothing happened; arguments as above."""
    lost, is_same = compare(run, undisturbed)
    missing = [words for words in expected if re.search(words, run.said) is None]
    if missing:
        raise Failure(f"did not say {missing[0]!r}, but: {run.happened}")
    return Seen(run.happened, seconds, lost, is_same)


def end(run: Launched, since: float, status: int, *expected: str) -> float:
    """Wait until a run has ended with an error.

    Args:
        run: after the fault.
        since: of the monotonic clock.
        status: that it must have.
        expected: patterns of what it must have said.

    Returns:
        Seconds since then.
    """
    found = run.wait()
    seconds = run.ended - since
    if found != status:
        raise Failure(f"exit status {found}, not {status}: {run.happened}")
    missing = [words for words in expected if re.search(words, run.said) is None]
    if missing:
        raise Failure(f"did not say {missing[0]!r}, but: {run.happened}")
    if "Traceback" in run.said:
        raise Failure(f"a traceback: {run.said.strip().splitlines()[-1]}")
    return seconds


def compare(run: Launched, undisturbed: Undisturbed) -> tuple[str, bool]:
    """Say what a run has lost, and whether its numbers are those of an undisturbed one.

    Without a restart they must be so bit by bit, else up to rounding.
    """
    try:
        difference = find_difference(run, undisturbed)
    except Failure as error:
        return str(error), False
    went_on = "continuing from" in run.said
    parts = [*_repeated(run), _words_of(difference)]
    return ", ".join(parts), difference <= (ROUNDING if went_on else 0.0)


def find_difference(run: Launched, undisturbed: Undisturbed) -> float:
    """Return the largest difference from a run where nothing happened, relative to the largest
    value of its column.

    Raises:
        Failure: steps are missing.
    """
    found, expected = run.rows(), undisturbed.rows(run.inputs)
    steps, all_steps = found[:, 0], expected[:, 0]
    if not np.array_equal(steps, all_steps):
        n_missing = len(np.setdiff1d(all_steps, steps))
        raise Failure(f"{n_missing} of {len(all_steps)} steps are missing")
    scale = np.abs(expected).max(axis=0)
    return float((np.abs(found - expected) / np.where(scale == 0.0, 1.0, scale)).max())


def _repeated(run: Launched) -> list[str]:
    """Steps and evaluations beyond those of an undisturbed run."""
    path = run.folder / f"{run.inputs.prefix}.out"
    rows = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    n_steps = len(rows) - len(read_properties(path)["step"])
    parts = []
    if n_steps:
        parts.append(f"{n_steps} step{'s' * (n_steps != 1)} made again")
    if not run.inputs.model:
        n = run.evaluations() - run.inputs.n_beads * run.inputs.n_steps
        parts.append(f"{n} evaluation{'s' * (n != 1)}" if n else "nothing")
    return parts


def _words_of(difference: float) -> str:
    if difference == 0.0:
        return "bit-identical"
    if difference <= ROUNDING:
        return f"identical to {difference:.0e}"
    return f"DIFFERENT by {difference:.0e}"
