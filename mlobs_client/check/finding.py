"""Represent the findings of checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        level: its severity.
        what: the fact, with the value.
        remedy: the change to make, and where; empty if all is well.
    """

    level: Level
    what: str
    remedy: str = ""


def ok(what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, what)


def warning(what: str, remedy: str) -> Finding:
    """Return a finding about something that may be intended."""
    return Finding(Level.WARNING, what, remedy)


def error(what: str, remedy: str) -> Finding:
    """Return a finding about something that prevents the run from working."""
    return Finding(Level.ERROR, what, remedy)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return the errors among findings."""
    return [finding for finding in findings if finding.level is Level.ERROR]


def split_remedy(text: str) -> tuple[str, str]:
    """Split a message of mlobs into what is wrong and its remedy; the latter may be empty."""
    what, _, remedy = text.partition("; ")
    return what, remedy
