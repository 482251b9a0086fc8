"""Readers of what i-PI writes: properties, trajectories and extras, in Hartree atomic units.

A run that was killed and continued is read as one: truncated data are left out with a warning, and
where steps were done twice, the later ones count.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
