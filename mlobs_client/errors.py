"""Every error that mlobs raises on purpose.

::

    MlobsError
    ├── ConfigError            a TOML file, an XML file or a command line says something impossible
    ├── ModelError             a model file is missing, corrupt, untrusted or for other species
    ├── MissingObservable      a formula needs a quantity that no model gives
    ├── EvaluationError        a model gave NaN, a wrong shape, or cannot treat this structure
    ├── TransportError         the server is not there, went away or cannot be reached
    │   └── ServerGone         it was there, and disappeared without EXIT
    ├── ProtocolError          a message broke the i-PI protocol
    │   ├── RemoteProtocolError   the server's message
    │   └── LocalProtocolError    ours
    ├── RecordError            a record, a trajectory or an output file cannot be read or written
    └── LaunchError            a process that we started failed

A message names what was wrong, the value, what would be right, and where to change it.
"""

from __future__ import annotations


class MlobsError(Exception):
    """Base of all errors that mlobs raises on purpose; its text is one clear line."""


class ConfigError(MlobsError):
    """A TOML file, an XML file or a command line says something impossible."""


class ModelError(MlobsError):
    """A model file is missing, corrupt, untrusted or made for other species."""


class MissingObservable(MlobsError):
    """A formula needs a quantity that no model gives."""


class EvaluationError(MlobsError):
    """A model gave NaN, a wrong shape, or cannot treat this structure."""


class TransportError(MlobsError):
    """The server is not there, went away or cannot be reached."""


class ServerGone(TransportError):
    """The server was there, and disappeared without saying EXIT."""


class ProtocolError(MlobsError):
    """A message broke the i-PI protocol."""


class RemoteProtocolError(ProtocolError):
    """The server sent what the protocol does not allow."""


class LocalProtocolError(ProtocolError):
    """We tried to send what the protocol does not allow."""


class RecordError(MlobsError):
    """A record, a trajectory or an output file cannot be read or written."""


class LaunchError(MlobsError):
    """A process that we started failed."""
