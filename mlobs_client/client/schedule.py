"""Choose the observables that are due at a step of i-PI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Observables with their strides.

    Attributes:
        strides: number of steps between two evaluations, by the name of the observable.
    """

    strides: Mapping[str, int]

    @property
    def depends_on_step(self) -> bool:
        """True if some observable is not due at every step."""
        return any(stride > 1 for stride in self.strides.values())

    def due(self, steps: Iterable[int] | None) -> frozenset[str]:
        """Return the observables that are due: those whose stride divides the step.

        Args:
            steps: the possible steps, any of which makes an observable due; None if the step is not
                known, in which case all observables are due.
        """
        if steps is None:
            return frozenset(self.strides)
        possible = tuple(steps)
        return frozenset(
            name
            for name, stride in self.strides.items()
            if any(step % stride == 0 for step in possible)
        )
