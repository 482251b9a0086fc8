"""Execute one run of a campaign from its current state to its end, on any machine.

The lock of ``run.log`` is held while a run works in its folder. ``mlobs run`` inherits it, so it is
held for as long as a campaign or a ``mlobs run`` may write there.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlobs_client.campaign.campaign import CHECKPOINT, Campaign, load
from mlobs_client.campaign.state import CampaignRun
from mlobs_client.client.config import load_config
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError, MlobsError
from mlobs_client.launch import exit_file
from mlobs_client.launch.folder import LOG
from mlobs_client.launch.places import CHOSEN
from mlobs_client.launch.processes import Child
from mlobs_client.locks import hold, is_held

NAME: Final = "run"  # of the log
POLL_INTERVAL: Final = 0.2  # s
PATIENCE: Final = 120.0  # s, until what a killed campaign has left running must have ended


def run_to_completion(
    campaign_file: str, name: str, digest: str, before: object = None, gpus: str = ""
) -> bool:
    """Start or continue a run until it is done; no step is repeated.

    Args:
        campaign_file: path of the campaign file.
        name: name of the run.
        digest: hash that the files of the run had when the campaign was started.
        before: result of the run that it continues from; parsl waits for it.
        gpus: value of CUDA_VISIBLE_DEVICES for the run; if empty, that of this process.

    Returns:
        True if the run is done, False if the campaign was told to stop.

    Raises:
        ConfigError: the campaign file is invalid.
        LaunchError: the template has changed, or the run failed; ``failed.json`` has the reason.
    """
    campaign = load(Path(campaign_file))
    run = campaign.runs[name]
    if run.is_done:
        return True
    if campaign.stop.exists() or before is False:
        return False
    if run.folder.exists() and run.read_digest() != digest and not run.has_made_a_step():
        _remove(run.folder)
    if not run.folder.exists():
        _start(campaign, run, digest)
    with _taken_over(run.folder) as lock:
        if run.is_done:
            return True
        run.clear_failure()
        started = time.monotonic()
        try:
            is_done = _run(campaign, run, lock, gpus)
            if is_done:
                run.mark_done(time.monotonic() - started)
        except MlobsError as error:
            run.mark_failed(str(error))
            raise
        return is_done


def _remove(folder: Path) -> None:
    """Remove the folder of a run whose files have changed and that has made no step."""
    removed = folder.with_name(f".{folder.name}.removed")
    with _taken_over(folder):  # its log is open: some file systems remove no such folder
        folder.rename(removed)
    shutil.rmtree(removed, ignore_errors=True)


def _start(campaign: Campaign, run: CampaignRun, digest: str) -> None:
    """Make the folder of a run, with the RESTART of the run that it continues from."""
    if campaign.digest(run) != digest:
        raise LaunchError(
            f"{campaign.template.folder} or {campaign.path} has changed since the campaign was "
            f"started, and {run.name} has not started; start the campaign again"
        )
    others = run.describe_start(digest)
    try:
        if run.after is not None:
            others[CHECKPOINT] = (run.folder.with_name(run.after) / "RESTART").read_bytes()
        campaign.template.write(campaign.values(run), run.folder, others)
    except OSError as error:
        raise LaunchError(f"{run.folder} cannot be made: {error}") from error


@contextlib.contextmanager
def _taken_over(folder: Path) -> Iterator[int]:
    """Lock a folder, and yield the lock.

    A ``mlobs run`` that a killed campaign has left running is told by an EXIT file to end with a
    RESTART, since the IDs of its processes are unknown; its run is then supervised again.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        with hold(folder / f"{NAME}.log") as lock:
            if lock is not None and not is_held(folder / LOG):
                exit_file.remove(folder)
                yield lock
                return
        if time.monotonic() > deadline:
            raise LaunchError(
                f"a 'mlobs run' or i-PI that an earlier campaign has started is still running in "
                f"{folder}, "
                f"and has not ended {PATIENCE:g} s after {exit_file.NAME} was made there; end it"
            )
        exit_file.make(folder)
        time.sleep(POLL_INTERVAL)


def _run(campaign: Campaign, run: CampaignRun, lock: int, gpus: str) -> bool:
    """Let ``mlobs run`` make the remaining steps; return whether all are done."""
    table = campaign.table
    files = ["input.xml", *table.client_files, "-n", str(table.clients), "--resume"]
    files += [word for line in table.drivers for word in ("--driver", line)]
    command = [sys.executable, "-m", "mlobs_client", "run", *files]
    clients = [run.folder / file for file in table.client_files]
    names_gpu = any(ClientFile(path, load_config(path)).names_gpu for path in clients)
    environment = {CHOSEN: gpus} if gpus and not names_gpu else {}
    child = Child(NAME, command, run.folder, environment, inherited=[lock])
    was_told = False
    while not child.wait(POLL_INTERVAL):
        if not was_told and campaign.stop.exists():
            was_told = True
            child.terminate()
    words = child.last_line
    if child.status == 0 and words.startswith("finished"):
        return True
    if was_told:
        return False
    raise LaunchError(f"{_find_reason(child)} (log: {child.log})")


def _find_reason(child: Child) -> str:
    """Return why the child ended: not always its last line, since advice may follow the reason."""
    for line in reversed(child.said().splitlines()):
        if line.startswith(("mlobs: error: ", "stopped: ")):
            return line.removeprefix("mlobs: error: ")
    return child.last_line
