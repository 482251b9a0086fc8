from .ase_calculator import calculator
from .build import Assembly, assemble
from .session import Answer
from .total_energy import observe_batch, predict

__all__ = [
    "Answer",
    "Assembly",
    "assemble",
    "calculator",
    "observe_batch",
    "predict",
]
