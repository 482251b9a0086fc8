"""Pulses of the real i-PI from checkpoints: the dielectric function of charges on springs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.data import atomic_masses, atomic_numbers
from ipi_runs import OSCILLATORS, ffdirect, make_input, run_ipi

from mlobs_client.analysis import SpectrumSettings, dielectric_from_pulse
from mlobs_client.results import correlation
from mlobs_client.studies.runs import Run
from mlobs_client.units import DALTON, INVERSE_CM, VOLT_PER_ANGSTROM

CLIENT = """structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "charged_oscillators"
parameters = {sites = [[0, 0, 0], [2, 1, 0], [0, 2, -23]], charges = [-2, 1, 1], \
spring_constant = 0.1}
[observables]
extras = ["dipole", "born_charges"]
"""
OUTPUT = """<output prefix='run'>
    <properties filename='out' stride='4'> [ step, time, MORE ] </properties>
    <trajectory filename='pos' stride='100'> positions </trajectory>
    <trajectory filename='dipole' stride='4' extra_type='dipole'> extras </trajectory>
    <checkpoint filename='kept' stride='40' overwrite='False'/>
  </output>"""
EFIELD = """<efield> <amp units='v/ang'> {amplitude} </amp> <peak units='femtosecond'> 12 </peak>
          <sigma units='femtosecond'> 2 </sigma> </efield> <bec mode='driver'/>"""
RESOLUTION = 200.0


def write_input(folder: Path, output: str, steps: int) -> str:
    folder.mkdir()
    (folder / "client.toml").write_text(CLIENT)
    (folder / "init.xyz").write_text(OSCILLATORS)
    xml = make_input(OUTPUT.replace("MORE", output), ffdirect(), steps, beads=1)
    return xml.replace("<motion mode='dynamics'>", "<motion mode='dynamics'><fixcom>False</fixcom>")


def run_in_pulse(folder: Path, checkpoint: Path, amplitude: list[float]) -> Run:
    """A pulse of i-PI from a checkpoint, whose clock and steps begin anew."""
    xml = write_input(folder, "Efield{v/ang}", 960).replace("'dynamics'", "'driven_dynamics'")
    before, _, rest = xml.partition("<initialize nbeads='1'>")
    begin = f"<initialize nbeads='1'> <file mode='chk'> {checkpoint} </file> </initialize>"
    xml = before + begin + rest.partition("</initialize>")[2]
    xml = xml.replace("<dynamics mode='nve'>", "<driven_dynamics mode='eda-nve'>")
    xml = xml.replace("</dynamics>", f"{EFIELD.format(amplitude=amplitude)} </driven_dynamics>")
    (folder / "input.xml").write_text(xml)
    run_ipi(folder)
    return Run(folder / "run")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """After 10 and 20 fs of thermal motion."""
    folder = tmp_path_factory.mktemp("pulses") / "rest"
    xml = write_input(folder, "potential", 80)
    (folder / "input.xml").write_text(xml)
    run_ipi(folder)
    return [folder / "run.kept_1", folder / "run.kept_2"]


def test_the_function_of_two_kinds_of_oscillators_comes_out_of_pulses_of_ipi(
    tmp_path: Path, checkpoints: list[Path]
) -> None:
    direction = np.array([0.3, 0.0, 0.4])
    runs = [
        run_in_pulse(tmp_path / f"{k}{sign}", path, (sign * direction).tolist())
        for k, path in enumerate(checkpoints)
        for sign in (1.0, -1.0)
    ]
    dipoles = [run.dipoles() for run in runs]
    fields = [run.fields(one.steps) for run, one in zip(runs, dipoles, strict=True)]
    # times begin at 0, whatever the time of the checkpoint
    assert np.argmax(np.linalg.norm(fields[2], axis=1)) == 12
    np.testing.assert_allclose(fields[0][12], direction * VOLT_PER_ANGSTROM, rtol=1e-6)
    timestep = runs[0].spacing(dipoles[0].steps)
    volume = runs[0].volume
    found = dielectric_from_pulse(
        [one.mean for one in dipoles], fields, timestep, volume,
        settings=SpectrumSettings(resolution=RESOLUTION),
    )  # fmt: skip
    assert found.real.x[-1] > 4000.0

    max_lag = correlation.lag_for_line_width("parzen", RESOLUTION * INVERSE_CM, timestep)
    t = 0.05 * np.arange(20 * max_lag + 1)  # samples of 1 fs
    window = np.interp(t, np.arange(max_lag + 1), correlation.lag_window("parzen", max_lag))
    chi = np.zeros_like(t)
    for charge, symbol in ((-2.0, "O"), (1.0, "H"), (1.0, "H")):
        mass = atomic_masses[atomic_numbers[symbol]] * DALTON
        omega = np.sqrt(0.1 / mass)
        chi += 4.0 * np.pi * charge**2 / (volume * mass * omega) * np.sin(omega * timestep * t)
    phases = np.exp(1j * timestep * np.outer(found.real.x * INVERSE_CM, t))
    exact = 1.0 + phases @ (chi * window) * 0.05 * timestep
    # of the maximum, LONGEST; steps of 0.25 fs shift the faster resonance by 3e-5
    scale = np.abs(exact - 1.0).max()
    np.testing.assert_allclose(found.real.mean, exact.real, atol=0.025 * scale)
    np.testing.assert_allclose(found.imaginary.mean, exact.imag, atol=0.025 * scale)
    tops = [found.imaginary.between(*ends) for ends in ((200.0, 700.0), (1300.0, 1900.0))]
    positions = [one.x[np.argmax(one.mean)] for one in tops]
    np.testing.assert_allclose(positions, [406.0, 1619.0], atol=15.0)
    # harmonic: both pairs respond alike
    assert np.ptp(found.real.blocks, axis=0).max() < 1e-5 * scale  # between the two pairs
