"""Machine-learned observables next to any i-PI simulation.

The way of the data is the way of the folders::

    wire -> structure -> evaluate -> terms -> wire (extras) and record -> outputs -> analysis

Importing the package loads neither torch nor ase; evaluators are imported where they are built.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
