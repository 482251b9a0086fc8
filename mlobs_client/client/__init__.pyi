from .build import Assembly, assemble
from .config import ClientConfig, load_config
from .session import Answer
from .total_energy import observe_batch, predict

__all__ = [
    "Answer",
    "Assembly",
    "ClientConfig",
    "assemble",
    "load_config",
    "observe_batch",
    "predict",
]
