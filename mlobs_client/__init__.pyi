from .client.config import ClientConfig
from .client.config import load as load_config
from .errors import MlobsError
from .structure import Prediction, Structure

__all__ = ["ClientConfig", "MlobsError", "Prediction", "Structure", "load_config"]
