"""Machine-learned observables next to any i-PI simulation.

The way of the data is the way of the folders::

    wire -> structure -> evaluate -> terms -> wire (extras) and record -> outputs -> analysis

Importing the package loads neither torch nor ase; evaluators are imported where they are built.
"""

from mlobs_client.client.config import ClientConfig
from mlobs_client.client.config import load as load_config
from mlobs_client.errors import MlobsError
from mlobs_client.structure import Prediction, Structure

__all__ = ["ClientConfig", "MlobsError", "Prediction", "Structure", "load_config"]
