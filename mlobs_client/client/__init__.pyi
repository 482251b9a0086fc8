from .ase_calculator import calculator
from .build import ClientModels, assemble
from .session import ClientSession
from .total_energy import observe_batch, predict

__all__ = [
    "ClientModels",
    "ClientSession",
    "assemble",
    "calculator",
    "observe_batch",
    "predict",
]
