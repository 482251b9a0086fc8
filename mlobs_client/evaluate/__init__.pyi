from . import mace, toys
from .card import read_card
from .evaluation import Evaluation, Evaluator, Gradient
from .model_files import load, trust
from .oxidation import OxidationNumbers, check_single_valued

__all__ = [
    "Evaluation",
    "Evaluator",
    "Gradient",
    "OxidationNumbers",
    "check_single_valued",
    "load",
    "mace",
    "read_card",
    "toys",
    "trust",
]
