"""Start one i-PI and its clients, watch them, and stop them cleanly.

``local`` joins what surrounds a run: ``address`` and ``socket_folders`` free what dead servers left
behind, ``checkpoints`` are what a run goes on from, ``relay`` lets clients of other machines in,
``folder`` has one run at a time, by ``locks``; ``leash`` ends i-PI with its run, ``exit_file`` with
a RESTART; ``signals`` are collected. ``supervision`` looks after i-PI and the clients: ``service``
names them, ``places`` says where they run, ``sources`` which files they have read, ``stamps`` which
files have been written since; ``processes`` are child processes with a log, ``ending`` reads how
i-PI ended, ``progress`` how far it is, ``heartbeat`` finds a run that hangs and ``deaths`` clients
that crash again and again. ``slurm`` writes job scripts.
"""
