from .run_samples import Samples, Velocities
from .run_set import RunSet
from .runs import Run

__all__ = ["Run", "RunSet", "Samples", "Velocities"]
