from .client.ase_calculator import calculator
from .client.config import ClientConfig, load_config
from .errors import MlobsError
from .structure import Prediction, Structure

__all__ = ["ClientConfig", "MlobsError", "Prediction", "Structure", "calculator", "load_config"]
