"""First predictions of dipoles on many sets with labels on random branches: is any label wrong?"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from report import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))
from branch_sets import LabelledSet, crystals, oriented_water  # beside the other tests

SEEDS = range(5)
MOST_SECONDS = 10.0
SMALL = [(64, 1, 0.02), (64, 3, 0.02), (216, 1, 0.02), (216, 2, 0.02), (64, 2, 0.1)]
LARGE = [(512, 1, 0.02), (512, 3, 0.02), (216, 2, 0.1), (1000, 0, 0.02), (1728, 0, 0.02)]
"""Molecules, bias, noise of each."""


def branches() -> list[Figure]:
    """Sets of oriented water, and of crystals of two to five species."""
    water = (oriented_water(*one, 30, seed) for one, seed in product(SMALL + LARGE, SEEDS))
    easy = product((2, 3, 4), (0.4, 0.8), (0.02, 0.05), SEEDS)
    hard = product((0.4, 0.8, 3.0), (0.02, 0.1), SEEDS)
    return [
        *_judge("oriented water", water),
        *_judge("crystals of 2 to 4 species", (crystals(*one[:3], 150, one[3]) for one in easy)),
        *_judge("crystals of 5 species", (crystals(5, *one[:2], 150, one[2]) for one in hard)),
    ]


def _judge(name: str, sets: Iterable[LabelledSet]) -> list[Figure]:
    """Labels that are wrong and not said to be a guess, in sets that were not refused."""
    n_wrong = n_refused = n_sets = 0
    most = 0.0
    for one in sets:
        begin = time.process_time()
        first = one.fit()
        most = max(most, time.process_time() - begin)
        moved = one.moved(first)
        wrong = (moved != moved[0]).any(axis=1)
        wrong[list(first.unsure)] = False
        n_sets += 1
        n_refused += not first.is_decisive
        n_wrong += int(wrong.sum()) if first.is_decisive else 0
    share = 100.0 * n_refused / n_sets
    return [
        Figure(f"{name}: labels on wrong branches", n_wrong, None, "", "0", n_wrong == 0),
        Figure(f"{name}: refused", share, None, "%", f"of {n_sets} sets", None),
        Figure(f"{name}: longest search", most, None, "s", "at most 10", most <= MOST_SECONDS),
    ]
