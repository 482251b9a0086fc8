from .displacement import FixedDisplacement
from .field import UniformField
from .sum_rule import AcousticSumRule
from .term import Coupling, Term

__all__ = [
    "AcousticSumRule",
    "Coupling",
    "FixedDisplacement",
    "Term",
    "UniformField",
]
