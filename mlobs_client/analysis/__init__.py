"""Analyse trajectories: spectra, responses, transport and liquids, with errors.

The functions take arrays and return small frozen results. Arrays are in Hartree atomic units;
results are in customary units (cm^-1, V/angstrom, ...), which they name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
