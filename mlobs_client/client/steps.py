"""To which step of i-PI a request belongs.

The wire carries no step. i-PI evaluates at the step from which it starts, and then once at each
step, so that a client which gets all structures can count them. It cannot count requests: i-PI
queues the beads of a step one after the other, and another thread sends what is queued already
when it wakes up. Requests are often torn in two, each filled up with repeats of its last
structure.

Source:
    i-PI 3.3.1: ``engine/simulation.py`` (``Simulation._run_loop``), ``engine/forces.py``
    (``ForceComponent.queue``), ``interfaces/sockets.py`` (``_dispatch_free_client_batch``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

MAX_PLACES: Final = 1000  # structures that never move leave the count open for ever


class _Place(NamedTuple):
    """Where a run may be.

    Attributes:
        step: of i-PI.
        n_answered: structures of this step that were answered already.
        differ: whether the structures of a step are known to differ from each other.
    """

    step: int
    n_answered: int
    differ: bool


class StepCounter:
    """Counts the steps of i-PI, for a client that answers all structures of all steps.

    A request that ends with repeats is either filled up or holds equal beads, as at the start of
    a ring polymer from one structure. All possibilities are followed until what comes later
    leaves one of them. What is taken for granted: beads are either all the same or all different,
    and then for ever; those that are the same move from step to step, and occur at the start of
    a run from step 0 only.

    Args:
        step: of the first request; None if it is not known.
    """

    def __init__(self, step: int | None) -> None:
        self._places: frozenset[_Place] = frozenset()
        if step is not None:  # a RESTART holds beads that have moved apart
            self._places = frozenset({_Place(step, 0, differ=step > 0)})

    def advance(
        self, n_different: int, n_per_step: int, *, repeats: bool = False
    ) -> frozenset[int] | None:
        """Count one request.

        Args:
            n_different: its structures without the repeats at its end.
            n_per_step: structures of one step, which is how many a request can hold.
            repeats: whether it begins with the structure that ended the request before.

        Returns:
            The steps to which the request may belong, nearly always one; None if it is not known.
        """
        if not self._places:
            return None
        steps: set[int] = set()
        after: set[_Place] = set()
        for place in self._places:
            following = set(_follow(place, n_different, n_per_step, repeats and n_per_step > 1))
            steps.update({place.step} if following else ())
            after |= following
        self._places = frozenset(after if len(after) <= MAX_PLACES else ())
        if not self._places:
            logger.warning(
                "lost count of the steps of i-PI: from now on all observables are evaluated at "
                "every step; does another client serve the same socket?"
            )
        return frozenset(steps) if steps else None


def _follow(place: _Place, n_different: int, n_per_step: int, repeats: bool) -> Iterator[_Place]:
    """Yield all places where a request can lead from this one."""
    left = n_per_step - place.n_answered
    begins = place.n_answered == 0
    if n_different <= left and (place.differ or begins) and not repeats:
        yield _after(place, n_different, n_per_step, differ=True)
    if n_different == 1 and not place.differ and begins is not repeats:
        for n in range(1, left + 1):
            yield _after(place, n, n_per_step, differ=False)


def _after(place: _Place, n: int, n_per_step: int, *, differ: bool) -> _Place:
    steps, n_answered = divmod(place.n_answered + n, n_per_step)
    return _Place(place.step + steps, n_answered, differ)
