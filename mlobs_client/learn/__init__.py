"""Train committees for energies, multi-valued dipoles and polarizabilities.

``labels`` and ``charges`` read labelled structures, ``split`` holds some of them out, ``branches``
moves dipoles by quanta, ``bond_charges`` makes the first prediction that determines their branches,
``targets`` and ``data_set`` make what the networks learn. ``networks`` and ``start`` make networks,
``batches``, ``objective``, ``theories`` and ``fit`` train them, ``member`` writes one member,
``training`` trains a committee and continues after a kill, ``processes`` trains several members at
once, ``files`` writes networks atomically, and ``accuracy`` and ``held_out`` compare them with
labels. All numbers are in the units of model files: e, angstrom, eV.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
