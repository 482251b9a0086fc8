"""Compare the predictions of a model with reference values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.structure import Array


@dataclass(frozen=True, eq=False)
class Parity:
    """Predictions of one quantity and the references that they are compared with.

    Attributes:
        quantity: name of the quantity, such as ``"dipole"``.
        unit: unit of all values; ``"1"`` if they have none.
        reference: reference values, shape ``(n,)``, in ``unit``.
        prediction: predicted values, shape ``(n,)``, in ``unit``.
        label: name in the legend of a figure, such as a component or a species.
        details: details of the predictions, for a reader.

    Raises:
        RecordError: there are no values, or not as many predictions as references.
    """

    quantity: str
    unit: str
    reference: Array
    prediction: Array
    label: str = ""
    details: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = np.shape(self.reference), np.shape(self.prediction)
        if shapes[0] != shapes[1] or len(shapes[0]) != 1 or not np.size(self.reference):
            raise RecordError(
                f"{self.quantity}: references and predictions must both have shape (n,), got "
                f"{shapes[0]} and {shapes[1]}"
            )

    @property
    def rms_error(self) -> float:
        """Root mean square difference of predictions and references, in ``unit``."""
        return float(np.sqrt(np.mean((self.prediction - self.reference) ** 2)))
