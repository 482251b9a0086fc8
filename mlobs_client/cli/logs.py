"""Log messages on the terminal, one line each, beside bars and spinners."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler


def log_to_console(level: int) -> Console:
    """Send the log to stderr.

    Args:
        level: lowest level of :mod:`logging` that is shown.

    Returns:
        The console on which progress must be shown, so that the lines do not disturb it.
    """
    console = Console(stderr=True, highlight=False)
    handler = RichHandler(console=console, show_time=False, show_path=False)
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler], force=True)
    return console
