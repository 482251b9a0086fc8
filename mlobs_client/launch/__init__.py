"""Start one i-PI and its clients, watch them, and stop them cleanly.

``local`` joins what surrounds a run: ``address`` and ``socket_folders`` free what dead servers left
behind, ``checkpoints`` are what a run goes on from, ``relay`` lets clients of other machines in,
``folder`` has one run at a time, by ``locks``; ``leash`` ends i-PI with its run, ``exit_file`` with
a RESTART; ``signals`` are collected. ``supervision`` looks after i-PI and the clients: ``service``
names them, ``places`` says where they run, ``sources`` what they have read, ``stamps`` what was
written since, ``processes`` are children with a log, ``ending`` reads how i-PI ended, ``progress``
how far it is, ``heartbeat`` and ``deaths`` judge. ``slurm`` writes jobs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
