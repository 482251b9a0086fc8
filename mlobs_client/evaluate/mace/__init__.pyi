from .evaluator import (
    MaceEvaluator,
    Setting,
    dipole,
    polarizability,
    potential,
    potential_and_dipole,
)

__all__ = [
    "MaceEvaluator",
    "Setting",
    "dipole",
    "polarizability",
    "potential",
    "potential_and_dipole",
]
