"""From which field on a liquid stops to flow.

One criterion, stated plainly: the diffusion coefficient falls below a fraction of its value at zero
field. It says nothing of why: a glass, a crystal and a run that is too short look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.estimate import Estimate
from mlobs_client.structure import Array

FRACTION: Final = 0.1
"""Of the diffusion at zero field: below, the liquid counts as frozen."""


@dataclass(frozen=True)
class Onset:
    """Where the diffusion falls below a fraction of its value at zero field.

    Attributes:
        fraction: of the value at zero field.
        field: shape ``(n_fields,)``, V/angstrom, signed, in the order in which they were given.
        ratio: of the diffusion coefficient to that at zero field, in the same order.
        verdicts: in the same order, ``liquid``, ``frozen`` or, without 95 % confidence (Student's
            t for the number of blocks) or without an error, ``undecided``.
    """

    fraction: float
    field: Array
    ratio: tuple[Estimate, ...]
    verdicts: tuple[str, ...]

    @property
    def last_liquid(self) -> float | None:
        """The highest strength below the onset; None if there is none that is certain."""
        below = self.first_frozen
        fields = [
            strength
            for strength, verdict in zip(np.abs(self.field), self.verdicts, strict=True)
            if verdict == "liquid" and (below is None or strength < below)
        ]
        return float(max(fields)) if fields else None

    @property
    def first_frozen(self) -> float | None:
        """The lowest strength beyond the onset; None if there is none that is certain."""
        frozen = np.array(self.verdicts) == "frozen"
        return float(np.abs(self.field[frozen]).min()) if frozen.any() else None

    def __str__(self) -> str:
        below, beyond = self.last_liquid, self.first_frozen
        if beyond is None:
            end = f"at no field up to {np.abs(self.field).max():g} V/angstrom with certainty"
        elif below is None:
            end = f"from {beyond:g} V/angstrom on, and perhaps before"
        else:
            end = f"from a field between {below:g} and {beyond:g} V/angstrom on"
        return f"D below {self.fraction:g} of its value at zero field: {end}"


def find_onset(field: Array, coefficients: Sequence[Estimate], fraction: float = FRACTION) -> Onset:
    """Compare diffusion coefficients with the one at zero field.

    Args:
        field: signed, shape ``(n_fields,)``, V/angstrom, among them 0.
        coefficients: one for each field.
        fraction: between 0 and 1.

    Raises:
        ConfigError: an impossible fraction.
        RecordError: no zero field, or no diffusion there with 95 % confidence.
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"fraction = {fraction}: must be between 0 and 1")
    field = np.asarray(field, dtype=np.float64)
    if len(field) != len(coefficients) or not (field == 0.0).any():
        raise RecordError(
            f"an onset needs one diffusion coefficient for each field, and one at zero field; got "
            f"{len(coefficients)} at the fields {field.tolist()} V/angstrom"
        )
    at_zero = int(np.flatnonzero(field == 0.0)[0])
    zero = coefficients[at_zero]
    if not (zero.value > 0.0 and zero.is_beyond(0.0)):
        raise RecordError(
            f"the diffusion at zero field, {zero}, is not above zero with 95 % confidence; run "
            "longer"
        )
    ratios = [_divide(one, zero) for one in coefficients]
    ratios[at_zero] = Estimate(1.0, 0.0, "1", zero.n_independent)
    verdicts = tuple(_judge(ratio, fraction) for ratio in ratios)
    return Onset(fraction, field, tuple(ratios), verdicts)


def _divide(one: Estimate, other: Estimate) -> Estimate:
    """Of independent estimates, to first order in their errors."""
    ratio = one.value / other.value
    error = float(np.hypot(one.error, ratio * other.error)) / other.value
    n_independent = min(one.n_independent, other.n_independent)
    source = "errors of both diffusion coefficients"
    found = Estimate(ratio, error, "1", n_independent, error_from=source)
    return found.without_error(one.no_error)


def _judge(ratio: Estimate, fraction: float) -> str:
    if not ratio.is_beyond(fraction):
        return "undecided"
    return "liquid" if ratio.value > fraction else "frozen"
