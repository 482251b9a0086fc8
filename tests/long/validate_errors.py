"""``make validate``: how often the true value lies within the printed error, of every estimator.

``python validate_errors.py`` judges all cases of ``tests/error_bars.py`` and its companions by 1000
repetitions each, some by more (two hours on one core), and writes the results;
``python validate_errors.py NAME`` judges one and writes nothing. Beside them
docs/measured/errors.md shows results/errors_before.json: the same by the package of commit d2973e7,
which stood first on PYTHONPATH.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from report import ROOT, Figure, run

sys.path.insert(0, str(ROOT / "tests"))

import error_bars_calibration
import error_bars_distributions
import error_bars_responses
import error_bars_reweighting
import error_bars_spectra
from error_bars import CASES, FEW, LIMITS, repeat

ALL = {
    **CASES,
    **error_bars_spectra.SINGLE,
    **error_bars_responses.CASES,
    **error_bars_distributions.CASES,
    **error_bars_calibration.CASES,
    **{f"reweighting, {name}": case for name, case in error_bars_reweighting.CASES.items()},
}

BELOW = (
    "6 states",
    "4 blocks",
    "field, 6 runs",
    "6 pairs",
    "diagram, 10 structures",
    ", 5 structures",
)
"""Cases of fewer than ten blocks or twenty samples, shown without limits: with five degrees of
freedom of Student's t the squared pull of a right error is 1.35 on average, with three it has
none."""

MOST = 0.5
"""Share with an error below which nothing is asked: these few were chosen by their luck."""

N_REPETITIONS = 1000
"""400 would let one of three perfect errors of ten blocks look wrong, of which there are many."""
N_OF_BLOCKS = 6000
"""The squared pull of ten blocks is 1.15 to 1.2 on average, by Student's t and the correlation of
neighbouring blocks, which 1000 repetitions tell to 0.07 only; so is that of skewed squares of 30
samples."""
MORE: dict[str, int] = {
    "reweighting": 2000,
    **dict.fromkeys(
        (
            *("kinetic temperature", "eps", "susceptibility", "polarization by linear"),
            *(
                f"{part} part of eps {way}"
                for part in ("real", "imaginary")
                for way in ("after", "in")
            ),
        ),
        N_OF_BLOCKS,
    ),
    **dict.fromkeys(("mode", "height", "density of a bin", "D over D", "g(r)"), N_OF_BLOCKS),
    "density of states, unequal": 3000,
}
"""Few samples count near the limits of reweighting: there 400 have shown 0.78 for an error that is
right."""


def judge(name: str) -> list[Figure]:
    """The numbers of one case; each holds within its limits, where most have an error at all."""
    counts = (count for start, count in MORE.items() if name.startswith(start))
    n_repetitions = next(counts, N_REPETITIONS)
    found = repeat(name, ALL[name], n_repetitions)
    figures = [Figure(f"{name}: printed", found.printed, None, "1", "share with an error", None)]
    for what, (low, high) in LIMITS.items():
        value = getattr(found, what)
        if not np.isfinite(value):  # nothing was printed
            continue
        is_asked = not any(few in name for few in BELOW)
        is_judged = is_asked and found.printed >= MOST and (what == "within_one" or name not in FEW)
        passed = bool(low <= value <= high) if is_judged else None
        label = what.replace("_", " ")
        figures.append(Figure(f"{name}: {label}", value, None, "1", f"{low} to {high}", passed))
    return figures


if __name__ == "__main__":
    sys.exit(run("errors", {name: partial(judge, name) for name in ALL}))
