"""Start i-PI and its clients, watch them, and stop them cleanly.

``local`` sets up a run: ``address`` and ``socket_folders`` free what dead servers left behind,
``checkpoints`` finds what a run continues from, ``backups`` moves what earlier runs left, ``relay``
connects clients on other machines, ``drivers`` reads command lines of other programs, ``folder``
allows one run at a time, ``parent_death_signal`` ends i-PI with its run, ``exit_file`` ends it with
a RESTART, and ``signals`` collects signals. ``supervision`` watches i-PI and the clients:
``service`` names them, ``places`` assigns them to GPUs and nodes, ``input_files`` and ``stamps``
notice that files have changed, ``processes`` starts child processes with a log, ``ending`` reads
how i-PI ended, ``progress`` follows its outputs, ``heartbeat`` finds a run that hangs, and
``crashes`` counts crashed clients. ``run_log`` writes the log of all this, ``sections`` dates the
sections of all logs, and ``overview`` reads from them and the outputs what a folder holds.
``jobs`` writes job scripts: ``schedulers`` has the options and commands of Slurm and PBS, ``site``
reads what a cluster needs, and ``time_limits`` reads time limits.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
