from .curve import Curve
from .estimate import Estimate
from .lines import LinearFit, drift, fit_line
from .parity import Parity
from .provenance import Provenance
from .result import Points, Result, Tensor
from .statistics import (
    jackknife,
    mean,
    mean_of_independent,
)
from .zero_frequency import statistical_inefficiency, zero_frequency_density

__all__ = [
    "Curve",
    "Estimate",
    "LinearFit",
    "Parity",
    "Points",
    "Provenance",
    "Result",
    "Tensor",
    "drift",
    "fit_line",
    "jackknife",
    "mean",
    "mean_of_independent",
    "statistical_inefficiency",
    "zero_frequency_density",
]
