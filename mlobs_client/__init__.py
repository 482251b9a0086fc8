"""Machine-learned observables for any i-PI simulation.

Data pass through the rooms of the package in this order::

    wire -> evaluate -> terms -> wire (extras) and record -> ipi (outputs) -> analysis -> results

Importing the package loads neither torch nor ase; evaluators are imported where they are built.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
