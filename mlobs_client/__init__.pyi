from .client.config import ClientConfig, load_config
from .errors import MlobsError
from .structure import Prediction, Structure

__all__ = ["ClientConfig", "MlobsError", "Prediction", "Structure", "load_config"]
