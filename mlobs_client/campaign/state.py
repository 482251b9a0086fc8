"""Read the state of a run from its folder.

``run.json`` exists from the start, ``failed.json`` if the last attempt has failed, and
``done.json`` when the run is done. Each is written as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from mlobs_client.campaign.file import Value
from mlobs_client.errors import LaunchError, MlobsError
from mlobs_client.files import replacing
from mlobs_client.ipi import input as ipi_input
from mlobs_client.launch.progress import Progress, Status

BEGUN: Final = "run.json"
FAILED: Final = "failed.json"
DONE: Final = "done.json"


class RunState(Enum):
    """The state of a run."""

    PLANNED = "planned"
    WAITING = "waiting"  # for the end of the run that it starts from
    STARTED = "started"  # it runs, or continues when the campaign does
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class CampaignRun:
    """One run of a campaign.

    Attributes:
        name: name of the run and of its folder.
        folder: its folder; it does not exist before the run has started.
        parameters: values of the parameters, by their names.
        after: name of the run that it continues from, if any.
    """

    name: str
    folder: Path
    parameters: Mapping[str, Value]
    after: str | None

    @property
    def is_done(self) -> bool:
        """True if all steps are done."""
        return (self.folder / DONE).exists()

    def read_state(self) -> RunState:
        """Read the state from the run's folder or, without one, from that of its predecessor."""
        if self.is_done:
            return RunState.DONE
        if (self.folder / FAILED).exists():
            return RunState.FAILED
        if self.folder.exists():
            return RunState.STARTED
        if self.after is not None and not (self.folder.parent / self.after / DONE).exists():
            return RunState.WAITING
        return RunState.PLANNED

    def describe_start(self, digest: str) -> dict[str, bytes]:
        """Return the content of ``run.json``, which the folder has from the start, by file name."""
        content = {"name": self.name, "parameters": self.parameters, "after": self.after}
        return {BEGUN: _text({**content, "digest": digest}).encode()}

    def read_digest(self) -> str | None:
        """Return the hash that the files of the run had at its start; None if it is not stored."""
        return _read(self.folder / BEGUN).get("digest")

    def has_made_a_step(self) -> bool:
        """Return whether the run has made, or may have made, a step; if so, its folder is kept."""
        try:
            ipi = ipi_input.read(self.folder / "input.xml")
        except (MlobsError, OSError):  # then i-PI could not start
            return False
        with contextlib.suppress(MlobsError, OSError):
            if ipi_input.read(self.folder / "RESTART").step > 0:
                return True
        status = self.read_progress()
        if status is not None and status.step is not None:
            return status.step > 0
        return any(self.folder.glob(f"{ipi.prefix}.*"))

    def read_error(self) -> str:
        """Return why the run failed; empty if it has not failed."""
        return str(_read(self.folder / FAILED).get("error", ""))

    def read_result(self) -> dict[str, Any]:
        """Return ``steps`` and ``seconds`` (of the last attempt) of a run that is done."""
        return _read(self.folder / DONE)

    def mark_failed(self, error: str) -> None:
        """Store the reason for a failure.

        Raises:
            LaunchError: the file cannot be written.
        """
        _write(self.folder / FAILED, {"name": self.name, "error": error})

    def clear_failure(self) -> None:
        """Remove the reason for a failure when the next attempt starts."""
        (self.folder / FAILED).unlink(missing_ok=True)

    def mark_done(self, seconds: float) -> None:
        """Mark the run as done.

        Raises:
            ConfigError: i-PI has left no RESTART.
            LaunchError: the file cannot be written.
        """
        content = {
            "name": self.name,
            "parameters": self.parameters,
            "after": self.after,
            "steps": ipi_input.read(self.folder / "RESTART").step,
            "seconds": round(seconds, 1),
        }
        _write(self.folder / DONE, content)

    def read_progress(self) -> Status | None:
        """Return the progress of a run that has started; None if i-PI's files do not show it."""
        try:
            status = Progress(ipi_input.read(self.folder / "input.xml"), reads_old=True).read(0)
        except (MlobsError, OSError):  # it has not started, or cannot
            return None
        return None if status.step is None else status


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def _write(path: Path, content: dict[str, Any]) -> None:
    with replacing(path, error=LaunchError) as draft:
        draft.write_text(_text(content), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
