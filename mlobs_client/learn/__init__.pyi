from . import targets, training
from .bond_charges import FirstPrediction
from .branches import Quanta
from .data_set import DataSet
from .labels import Label, read_labelled
from .tensor_parts import tensor_parts
from .training import load_member

__all__ = [
    "DataSet",
    "FirstPrediction",
    "Label",
    "Quanta",
    "load_member",
    "read_labelled",
    "targets",
    "tensor_parts",
    "training",
]
