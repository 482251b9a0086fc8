"""Training of committees: multi-valued dipoles, polarizabilities, energies with dipoles.

``labels`` reads what is to be learned, ``branches`` knows that a dipole is known up to quanta,
``bond_charges`` gives the first prediction that labels are sorted by; ``networks``, ``batches``,
``objective`` and ``fit`` train one member, ``training`` a committee that survives a kill,
``files`` writes them whole, and ``accuracy`` says how good it is. All of it is in the units of
model files: e, angstrom, eV.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
