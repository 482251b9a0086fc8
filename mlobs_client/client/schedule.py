"""Which observables are due at which step of i-PI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Observables and how often each is evaluated.

    Attributes:
        strides: steps between two evaluations, by the name of the observable.
    """

    strides: Mapping[str, int]

    @property
    def depends_on_step(self) -> bool:
        """Whether anything is left out at some steps."""
        return any(stride > 1 for stride in self.strides.values())

    def due(self, steps: Iterable[int] | None) -> frozenset[str]:
        """Return the observables that are due: at step 0 and at each multiple of their stride.

        Args:
            steps: the steps that it may be; None where nothing is known. What is due at any of
                them is due.
        """
        if steps is None:
            return frozenset(self.strides)
        possible = tuple(steps)
        return frozenset(
            name
            for name, stride in self.strides.items()
            if any(step % stride == 0 for step in possible)
        )
