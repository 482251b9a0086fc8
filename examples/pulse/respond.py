"""Compute the dielectric function of liquid water at rest, and from pulses of a field."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

import numpy as np

from mlobs_client.analysis import (
    SpectrumSettings,
    dielectric_from_fluctuations,
    dielectric_from_pulse,
)
from mlobs_client.studies import Run
from mlobs_client.units import KELVIN

HERE = Path(__file__).parent
STRENGTH = 0.1  # V/angstrom, of the pulse, along z
BANDS = {"librations": (300, 1100), "bend": (1400, 1900), "stretch": (2800, 4200)}  # cm^-1
THERMAL = """<file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>"""


def run(folder: Path, inputs: str, client: str, **values: object) -> Run:
    """Run i-PI with one client; a run that is complete is not repeated."""
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(HERE / "init.xyz", folder)
        (folder / "client.toml").write_text(client)
        (folder / "input.xml").write_text(Template((HERE / inputs).read_text()).substitute(values))
        call(folder, "run", "--no-check", "input.xml", "client.toml", "-n", "1")
        done.touch()
    return Run(folder / "simulation")


def call(folder: Path, *words: str) -> None:
    """Run a command as a user would type it there."""
    print(" ".join(("mlobs", *words)), flush=True)
    subprocess.run([sys.executable, "-m", "mlobs_client", *words], cwd=folder, check=True)


def checkpoint(of: Run, k: int) -> Path:
    """Return the path of the k-th checkpoint."""
    return of.prefix.resolve().with_name(f"simulation.kept_{k}")


def compare(
    rest: Run, pulses: list[Run], temperature: float, resolution: float
) -> dict[str, dict[str, list[float]]]:
    """Return integrals of epsilon'' over the bands with errors, from both, in cm^-1."""
    settings = SpectrumSettings(resolution=resolution)
    dipoles = rest.dipoles()
    at_rest = dielectric_from_fluctuations(
        dipoles.mean, rest.spacing(dipoles.steps), rest.volume, temperature,
        settings=settings, direction=np.array([0.0, 0.0, 1.0]),
    )  # fmt: skip
    driven = [one.dipoles() for one in pulses]
    fields = [one.fields(of.steps) for one, of in zip(pulses, driven, strict=True)]
    after = dielectric_from_pulse(
        [one.mean for one in driven], fields, pulses[0].spacing(driven[0].steps), rest.volume,
        settings=settings,
    )  # fmt: skip
    curves = {"fluctuations": at_rest.imaginary, "pulse": after.imaginary}
    numbers: dict[str, dict[str, list[float]]] = {name: {} for name in BANDS}
    for name, ends in BANDS.items():
        for label, curve in curves.items():
            found = curve.integral(*ends)
            numbers[name][label] = [round(found.value, 1), round(found.error, 1)]
    return numbers


def deviation(strong: list[Run], weak: list[Run]) -> dict[str, float]:
    """Return the relative rms difference of the responses to a pulse and to half of it, doubled."""
    whole, half = (up.dipoles().mean - down.dipoles().mean for up, down in (strong, weak))
    return {
        name: float(np.linalg.norm((2.0 * half - whole)[part]) / np.linalg.norm(whole[part]))
        for name, part in (("first 100 fs", slice(101)), ("whole run", slice(None)))
    }


def main(
    folder: Path,
    n_starts: int = 6,
    n_between: int = 3000,
    n_steps: int = 900,
    resolution: int = 100,
    client: str | None = None,
) -> None:
    """Make all runs, analyse them with one command, and write the numbers of the page.

    Args:
        folder: folder of the runs, created if it is missing.
        n_starts: number of checkpoints from which pulses start.
        n_between: number of steps between two checkpoints.
        n_steps: number of steps of a run in a pulse.
        resolution: resolution of the spectra, cm^-1.
        client: another client file than the one here, for the atoms of init.xyz.
    """
    at_rest = client or (HERE / "client.toml").read_text()
    driven = at_rest.replace('"dipole"]', '"dipole", "born_charges"]\nsum_rule = "restore"')
    thermal = run(folder / "thermal", "rest.xml", at_rest,
                  start=THERMAL, mode="nvt", steps=2 * n_between, between=n_between)  # fmt: skip
    begin = f"<file mode='chk'> {checkpoint(thermal, 2)} </file>"
    steps = (n_starts + 2) * n_between
    rest = run(folder / "rest", "rest.xml", at_rest,
               start=begin, mode="nve", steps=steps, between=n_between)  # fmt: skip

    def pair(name: str, k: int, strength: float) -> list[Run]:
        return [
            run(folder / f"{name}-{direction}-{k}", "pulse.xml", driven, steps=n_steps,
                checkpoint=checkpoint(rest, k), amplitude=sign * strength)
            for direction, sign in (("up", 1), ("down", -1))
        ]  # fmt: skip

    pairs = [pair("pulse", k, STRENGTH) for k in range(1, n_starts + 1)]
    half = pair("half", 1, 0.5 * STRENGTH)
    pulses = [one for both in pairs for one in both]
    # microcanonical: its temperature is what it turned out to be
    temperature = float(np.mean(rest.properties["temperature"]))
    options = [
        word for one in pulses for word in ("--pulse", f"{one.prefix.parent.name}/simulation")
    ]
    options += ["--resolution", str(resolution), "-o", "dielectric"]
    kelvin = f"{temperature / KELVIN:.1f}"
    call(folder, "dielectric", "rest/simulation", "--temperature", kelvin, *options)
    numbers = {
        "temperature (K)": temperature / KELVIN,
        "pairs": len(pairs),
        "integrals (cm^-1)": compare(rest, pulses, temperature, resolution),
        "deviation of half the pulse": deviation(pairs[0], half),
    }
    (folder / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main(Path("pulse"))
