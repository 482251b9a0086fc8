"""Count the steps of i-PI, to find the step to which a request belongs.

The protocol does not carry the step. i-PI evaluates at the step from which it starts, and then once
at each step, so a client that gets all structures can count the steps. It cannot count requests:
i-PI queues the beads of a step one after the other, and another thread sends those that are in the
queue when it wakes up. i-PI often splits the beads of a step into two requests, and fills up each
with repeats of its last structure.

Source:
    i-PI 3.3.1: ``engine/simulation.py`` (``Simulation._run_loop``), ``engine/forces.py``
    (``ForceComponent.queue``), ``interfaces/sockets.py`` (``_dispatch_free_client_batch``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

MAX_COUNTS: Final = 1000  # structures that never move leave the count undecided forever


class _Count(NamedTuple):
    """One of the possible states of the count.

    Attributes:
        step: step of i-PI.
        n_answered: number of structures of this step that have already been answered.
        differ: True if the structures of a step are known to differ from each other.
    """

    step: int
    n_answered: int
    differ: bool


class StepCounter:
    """Counts the steps of i-PI, for a client that answers all structures of all steps.

    A request that ends with repeats is either filled up or holds equal beads, as when a ring
    polymer starts from one structure. All possible counts are followed until later requests leave
    only one of them. It is assumed that the beads are either all equal or all different, and that
    they stay different; equal beads move from step to step, and occur only at the start of a run
    from step 0.

    Args:
        step: step of the first request; None if it is not known.
    """

    def __init__(self, step: int | None) -> None:
        self._counts: frozenset[_Count] = frozenset()
        if step is not None:  # a RESTART holds beads that have moved apart
            self._counts = frozenset({_Count(step, 0, differ=step > 0)})

    def advance(
        self, n_different: int, n_per_step: int, *, repeats: bool = False
    ) -> frozenset[int] | None:
        """Count one request.

        Args:
            n_different: number of structures of the request, without the repeats at its end.
            n_per_step: number of structures of a step, the most that a request can hold.
            repeats: True if the request starts with the structure that ended the previous one.

        Returns:
            The steps to which the request may belong, nearly always just one; None if it is not
            known.
        """
        if not self._counts:
            return None
        steps: set[int] = set()
        after: set[_Count] = set()
        for count in self._counts:
            following = set(_follow(count, n_different, n_per_step, repeats and n_per_step > 1))
            steps.update({count.step} if following else ())
            after |= following
        self._counts = frozenset(after if len(after) <= MAX_COUNTS else ())
        if not self._counts:
            logger.warning(
                "lost count of the steps of i-PI: from now on all observables are evaluated at "
                "every step; does another client serve the same socket?"
            )
        return frozenset(steps) if steps else None


def _follow(count: _Count, n_different: int, n_per_step: int, repeats: bool) -> Iterator[_Count]:
    """Yield all counts to which a request can lead from this one."""
    left = n_per_step - count.n_answered
    starts = count.n_answered == 0
    if n_different <= left and (count.differ or starts) and not repeats:
        yield _after(count, n_different, n_per_step, differ=True)
    if n_different == 1 and not count.differ and starts is not repeats:
        for n in range(1, left + 1):
            yield _after(count, n, n_per_step, differ=False)


def _after(count: _Count, n: int, n_per_step: int, *, differ: bool) -> _Count:
    steps, n_answered = divmod(count.n_answered + n, n_per_step)
    return _Count(count.step + steps, n_answered, differ)
