"""Field above which diffusion is arrested.

Diffusion counts as arrested if its coefficient falls below a fraction of that at zero field. The
criterion does not reveal the reason: a glass, a crystal and a run that is too short look alike.
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
"""Fraction of the diffusion coefficient at zero field below which diffusion counts as arrested."""


@dataclass(frozen=True)
class ArrestField:
    """The field at which the diffusion coefficient falls below a fraction of that at zero field.

    Attributes:
        fraction: fraction of the coefficient at zero field.
        field: signed fields in the given order, shape ``(n_fields,)``, V/angstrom.
        ratio: for each field, the ratio of its diffusion coefficient to that at zero field.
        phases: for each field, ``liquid``, ``arrested``, or ``undecided`` if the ratio has no error
            or a confidence of 95 % is not reached (Student's t for the number of blocks).
    """

    fraction: float
    field: Array
    ratio: tuple[Estimate, ...]
    phases: tuple[str, ...]

    @property
    def last_liquid(self) -> float | None:
        """The strongest field below :attr:`first_arrested` at which diffusion is certain.

        It is in V/angstrom; None if there is no such field.
        """
        arrested = self.first_arrested
        fields = [
            strength
            for strength, phase in zip(np.abs(self.field), self.phases, strict=True)
            if phase == "liquid" and (arrested is None or strength < arrested)
        ]
        return float(max(fields)) if fields else None

    @property
    def first_arrested(self) -> float | None:
        """The weakest field at which arrest is certain, V/angstrom; None if there is none."""
        arrested = np.array(self.phases) == "arrested"
        return float(np.abs(self.field[arrested]).min()) if arrested.any() else None

    def __str__(self) -> str:
        below, above = self.last_liquid, self.first_arrested
        if above is None:
            where = f"at no field up to {np.abs(self.field).max():g} V/angstrom with certainty"
        elif below is None:
            where = f"at {above:g} V/angstrom, and perhaps at weaker fields"
        else:
            where = f"above a field between {below:g} and {above:g} V/angstrom"
        criterion = f"D below {self.fraction:g} of its value at zero field"
        return f"diffusion is arrested ({criterion}) {where}"


def arrest_field(
    field: Array, coefficients: Sequence[Estimate], fraction: float = FRACTION
) -> ArrestField:
    """Find the field above which diffusion is arrested.

    Args:
        field: signed fields, one of which is zero, shape ``(n_fields,)``, V/angstrom.
        coefficients: diffusion coefficient at each field, all in one unit.
        fraction: fraction of the coefficient at zero field, between 0 and 1.

    Raises:
        ConfigError: the fraction is invalid.
        RecordError: there is no zero field, or no diffusion there with 95 % confidence.
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"fraction = {fraction}: must be between 0 and 1")
    field = np.asarray(field, dtype=np.float64)
    if len(field) != len(coefficients) or not (field == 0.0).any():
        raise RecordError(
            f"give one diffusion coefficient for each field, and one at zero field; got "
            f"{len(coefficients)} at the fields {field.tolist()} V/angstrom"
        )
    at_zero = int(np.flatnonzero(field == 0.0)[0])
    zero = coefficients[at_zero]
    if not (zero.value > 0.0 and zero.is_beyond(0.0)):
        raise RecordError(
            f"the diffusion at zero field, {zero}, is not above zero with 95 % confidence; run "
            "longer"
        )
    ratios = [_divide(coefficient, zero) for coefficient in coefficients]
    ratios[at_zero] = Estimate(1.0, 0.0, "1", zero.n_independent)
    phases = tuple(_phase(ratio, fraction) for ratio in ratios)
    return ArrestField(fraction, field, tuple(ratios), phases)


def _divide(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Divide independent estimates, to first order in their errors."""
    ratio = numerator.value / denominator.value
    error = float(np.hypot(numerator.error, ratio * denominator.error)) / denominator.value
    n_independent = min(numerator.n_independent, denominator.n_independent)
    source = "errors of both diffusion coefficients"
    quotient = Estimate(ratio, error, "1", n_independent, error_from=source)
    return quotient.without_error(numerator.no_error)


def _phase(ratio: Estimate, fraction: float) -> str:
    if not ratio.is_beyond(fraction):
        return "undecided"
    return "liquid" if ratio.value > fraction else "arrested"
