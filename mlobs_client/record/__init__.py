"""Records: observables that are too large for i-PI's text files, joined to its beads and steps.

A record is an ordinary HDF5 file that grows only at its end. If a kill or a full disk truncates it
at any byte, all rows before that byte can still be read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
