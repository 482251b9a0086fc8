"""The observable record: what is too large for i-PI's text files, joined to beads and steps.

A record is one ordinary HDF5 file that only ever grows at its end, so that a kill at any moment
and a cut at any byte leave every row before readable.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
