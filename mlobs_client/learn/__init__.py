"""Train committees for energies, multi-valued dipoles and polarizabilities.

``labels`` reads labelled structures, ``branches`` moves dipoles by quanta, and ``bond_charges``
makes the first prediction that determines their branches. ``networks``, ``batches``, ``objective``
and ``fit`` train one member, ``training`` trains a committee and continues after a kill, ``files``
writes networks atomically, and ``accuracy`` compares them with labels. All numbers are in the units
of model files: e, angstrom, eV.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
