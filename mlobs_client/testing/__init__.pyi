from .conformance import Report, check_evaluator, check_term, check_translations
from .differences import Differences
from .server import MemoryClient, ScriptedServer

__all__ = [
    "Differences",
    "MemoryClient",
    "Report",
    "ScriptedServer",
    "check_evaluator",
    "check_term",
    "check_translations",
]
