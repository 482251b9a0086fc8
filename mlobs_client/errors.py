"""All errors that mlobs raises deliberately.

::

    MlobsError
    ├── ConfigError            a setting in TOML, in XML or on the command line is impossible
    ├── ModelError             a model file is missing, corrupt, untrusted or made for other species
    ├── MissingObservable      a formula needs a quantity that no model gives
    ├── EvaluationError        a model gave NaN or a wrong shape, or cannot treat this structure
    ├── TransportError         the server does not exist, has disappeared or cannot be reached
    │   └── ServerGone         the server disappeared without EXIT
    ├── ProtocolError          a message violated the i-PI protocol
    │   ├── RemoteProtocolError   the message came from the other side
    │   └── LocalProtocolError    the message was ours
    ├── RecordError            a record, a trajectory or an output file cannot be read or used
    └── LaunchError            a process cannot be started, or one that we started failed

A message says what is wrong, quotes the value, and says what would be right and where to change it.
"""

from __future__ import annotations


class MlobsError(Exception):
    """The base of all errors that mlobs raises deliberately; its text is one clear line."""


class ConfigError(MlobsError):
    """A setting in TOML, in XML or on the command line is impossible."""


class ModelError(MlobsError):
    """A model file is missing, corrupt, untrusted or made for other species."""


class MissingObservable(MlobsError):
    """A formula needs a quantity that no model gives."""


class EvaluationError(MlobsError):
    """A model gave NaN or a wrong shape, or cannot treat this structure."""


class TransportError(MlobsError):
    """The server does not exist, has disappeared or cannot be reached."""


class ServerGone(TransportError):
    """The server disappeared without sending EXIT."""


class ProtocolError(MlobsError):
    """A message violated the i-PI protocol."""


class RemoteProtocolError(ProtocolError):
    """The other side sent a message that the protocol does not allow."""


class LocalProtocolError(ProtocolError):
    """We tried to send a message that the protocol does not allow."""


class RecordError(MlobsError):
    """A record, a trajectory or an output file cannot be read, written or used for an analysis."""


class LaunchError(MlobsError):
    """A process cannot be started, or one that we started failed."""
