"""Water in weak fields: LAMMPS gives the forces of water, mlobs those of the field, i-PI moves.

``python linear_response.py`` carries out all runs of campaign.toml beside it and analyses them.
Interrupted or killed, the same line goes on where it stopped; what a killed one has left running
is ended first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy.stats import sem

from mlobs_client.analysis import (
    Estimate,
    drift,
    mean,
    permittivity_from_fluctuations,
    statistical_inefficiency,
    susceptibility_from_fluctuations,
)
from mlobs_client.campaign import state
from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.check import ipi_input
from mlobs_client.errors import LaunchError, MlobsError
from mlobs_client.launch.local import LOG
from mlobs_client.launch.locks import hold, is_held
from mlobs_client.launch.processes import Child, find_program
from mlobs_client.launch.supervision import EXIT
from mlobs_client.runs import Run
from mlobs_client.units import EV, KELVIN, MICROCOULOMB_PER_CM2, PICOSECOND

PAUSE = 0.5  # s
PATIENCE = 120.0  # s, until what a killed script has left running must have ended
MOST_FAILURES = 3  # of LAMMPS in one run
ADDRESS = b"linear-response"  # how addresses begin in the template
SKIP = "15"  # ps, of each run
SCAN = ("--window", "5", "15")  # ps
CHARGE = 0.73612 * 0.5564  # e: a dipole of q-TIP4P/F is this times the sum of both O-H vectors


def make_folder(campaign: Campaign, run: state.Run, digest: str) -> None:
    """Make its folder, with addresses that no other copy of this example has."""
    own = ADDRESS + f"-{secrets.token_hex(4)}".encode()
    rendered = campaign.template.render(campaign.values(run))
    files = {file: content.replace(ADDRESS, own) for file, content in rendered.items()}
    others = {**files, **run.describe_beginning(digest)}
    campaign.template.write(campaign.values(run), run.folder, others)


def take_over(folder: Path) -> None:
    """End what a script that was killed has left running there, with a RESTART."""
    deadline = time.monotonic() + PATIENCE
    while is_held(folder / LOG):
        if time.monotonic() > deadline:
            raise LaunchError(f"{folder}: i-PI or 'mlobs run' of an earlier script does not end")
        (folder / EXIT).touch()
        time.sleep(PAUSE)
    (folder / EXIT).unlink(missing_ok=True)


def carry_out(
    campaign: Campaign, run: state.Run, digest: str, lmp: str, stop: threading.Event
) -> None:
    """One run, from where it stands: 'mlobs run' has i-PI and our client, LAMMPS is beside it."""
    if run.is_done or stop.is_set():
        return
    if not run.folder.exists():
        make_folder(campaign, run, digest)
    take_over(run.folder)
    ipi = ipi_input.read(run.folder / "input.xml")
    (address,) = (one.address for one in ipi.sockets if one.name == "lammps")
    socket = Path(ipi.sockets_prefix + address)
    words = ["run", "input.xml", "client.toml", "--others-serve", "--resume"]
    started = time.monotonic()
    ours = Child("run", [sys.executable, "-m", "mlobs_client", *words], run.folder)
    lammps, n_failures, is_told = None, 0, False
    try:
        while not ours.wait(PAUSE):
            if lammps is not None and lammps.status is not None:
                lammps, n_failures = None, n_failures + 1
            if stop.is_set() or n_failures == MOST_FAILURES:
                if not is_told:
                    is_told = True  # once: a second signal acts at once
                    ours.terminate()
            elif lammps is None and socket.exists():  # i-PI listens; it takes it away at its end
                lammps = Child("lammps", [lmp, "-in", "lammps.in", "-log", "none"], run.folder)
    finally:
        if ours.status is None:
            ours.end(PATIENCE)
        if lammps is not None:  # it ends with i-PI, if it had met it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(lammps.pid, signal.SIGTERM)
            lammps.wait(PATIENCE)
    # its status is 0 also after an EXIT file, or when i-PI's time is up
    if ours.status == 0 and ours.last_words.startswith("finished"):
        run.mark_done(time.monotonic() - started)
    elif n_failures == MOST_FAILURES:
        raise LaunchError(f"{run.folder}: LAMMPS has failed, see lammps.log there")
    elif not is_told:
        raise LaunchError(f"{run.folder}: not all steps are done, see run.log there")


def analyse(folder: Path) -> None:
    """What a user would type there, and all numbers in numbers.json; compare expected.json."""
    rest = sorted((folder / "runs").glob("field=0_*"))
    prefixes = [f"{run.relative_to(folder)}/simulation" for run in rest]
    _call(folder, "field-scan", "campaign.toml", "--no-run", *SCAN, "--skip", SKIP, "-o", "scan")
    temperature = ("--temperature", "300", "--skip", SKIP)
    _call(folder, "dielectric", *prefixes, *temperature, "-o", "dielectric")
    scan, dielectric = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("scan", "dielectric")
    )
    found = {"scan": scan, "dielectric": dielectric["summary"]}
    found["at rest"] = look_at_rest([Run(run / "simulation") for run in rest])
    every = sorted(one for one in (folder / "runs").iterdir() if one.is_dir())
    found["drift of the conserved energy"] = {one.name: asdict(_drift(one)) for one in every}
    (folder / "numbers.json").write_text(json.dumps(found, indent=1) + "\n")


def _call(folder: Path, *words: str) -> None:
    print(" ".join(("mlobs", *words)), flush=True)
    subprocess.run([sys.executable, "-m", "mlobs_client", *words], cwd=folder, check=True)


def _drift(run: Path) -> Estimate:
    """Of all atoms together: of both forces and the thermostat."""
    properties = Run(run / "simulation").properties
    times = properties["time"] / PICOSECOND
    return drift(times, properties["conserved"] / EV, ("ps", "eV"))


def look_at_rest(runs: list[Run]) -> dict[str, object]:
    """Is there a dipole without a field, how long is it remembered, and what do charges say?

    The time is given twice: of each run about its own mean, which is too short where that mean
    still wanders, and of each component of all runs about one mean.
    """
    dipoles, of_charges, times = [], [], []
    for run in runs:
        begin = float(SKIP) * PICOSECOND / run.timestep
        observed = run.dipoles()
        dipoles.append(observed.mean[observed.steps >= begin])
        spacing = run.spacing(observed.steps) / PICOSECOND
        times += [spacing * statistical_inefficiency(one) / 2.0 for one in dipoles[-1].T]
        positions = run.positions()
        later = positions.steps >= begin
        molecules = positions.values[later, 0].reshape(later.sum(), -1, 3, 3)  # atoms O H H
        bonds = (molecules[:, :, 1:] - molecules[:, :, :1]).sum(axis=(1, 2))
        of_charges.append(CHARGE * bonds)
    every = np.concatenate(dipoles)
    polarization = every / runs[0].volume / MICROCOULOMB_PER_CM2
    along = [
        susceptibility_from_fluctuations(every, runs[0].volume, 300.0 * KELVIN, axis)
        for axis in np.eye(3)
    ]
    charges = permittivity_from_fluctuations(of_charges, runs[0].volume, 300.0 * KELVIN)
    return {
        "polarization along x, y, z": [asdict(mean(one, "uC/cm^2")) for one in polarization.T],
        "susceptibility along x, y, z": [asdict(one) for one in along],
        "dielectric constant, mean of these": asdict(
            Estimate(
                1.0 + float(np.mean([one.value for one in along])),
                float(np.linalg.norm([one.error for one in along])) / 3.0,
                "1",
                3,
            )
        ),
        "correlation time of the dipole, in one run": asdict(
            Estimate(float(np.mean(times)), float(sem(times)), "ps", len(times))
        ),
        "correlation times along x, y, z, in all runs (ps)": [
            spacing * statistical_inefficiency(one) / 2.0 for one in every.T
        ],
        "dielectric constant from the charges of q-TIP4P/F": asdict(charges.mean),
    }


def run_all(folder: Path, at_once: int, seconds: float | None) -> bool:
    """Complete all runs of the campaign there, or as much as there is time for; return which."""
    lmp = find_program("lmp", "lammps[mpi]")
    campaign = load(folder / "campaign.toml")
    digests = campaign.plan()
    (folder / "runs").mkdir(exist_ok=True)
    stop = threading.Event()
    with hold(folder / "runs" / ".lock") as lock, ThreadPoolExecutor(at_once) as pool:
        if lock is None:
            raise LaunchError(f"this script works in {folder} already")
        begun = [
            pool.submit(carry_out, campaign, run, digests[name], lmp, stop)
            for name, run in campaign.runs.items()
        ]
        try:
            for one in as_completed(begun, seconds):
                one.result()
        except TimeoutError:  # of as_completed: there is no more time
            pass
        finally:
            stop.set()  # at an error and at Ctrl-C, too: the others end with a RESTART
    for one in begun:
        one.result()
    return all(run.is_done for run in campaign.runs.values())


def main() -> None:
    """All runs, and what two commands make of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=2, help="runs")
    parser.add_argument("--seconds", type=float, help="then stop, to go on")
    chosen = parser.parse_args()
    folder = Path(__file__).parent
    try:
        is_done = run_all(folder, chosen.at_once, chosen.seconds)
    except MlobsError as error:
        raise SystemExit(str(error)) from None
    if is_done:
        analyse(folder)
    else:
        print("not done yet; the same line goes on")


if __name__ == "__main__":
    main()
