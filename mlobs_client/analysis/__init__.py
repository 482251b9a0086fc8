"""Arrays in, small frozen results out: correlation functions, spectra, responses, with errors.

Arrays are in Hartree atomic units; results are in the units of their readers (cm^-1,
V/angstrom, ...) and say which.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
