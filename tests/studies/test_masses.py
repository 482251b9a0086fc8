"""Masses are those that the run had, whatever its labels say, or the doubt is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mlobs_client.analysis.vibrations.kinetics import find_freedom
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.vdos import vdos
from mlobs_client.cli import spectrum
from mlobs_client.cli.vdos import command
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi.series import Source
from mlobs_client.studies.runs import Run
from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM, KELVIN

KT = 300.0 * KELVIN
N_STEPS = 2000
WAVENUMBERS = {"O": 1000.0, "C": 1000.0}  # others move at 2500
U = {"H": 1.00784, "D": 2.014, "O": 15.999, "O18": 17.9992, "C13": 13.0034}  # NIST

INPUT = """<simulation><output prefix='simulation'/><system>
<initialize nbeads='1'><file mode='xyz'> init.xyz </file>{masses}</initialize>
<motion mode='dynamics'><dynamics mode='{mode}'/></motion>
<ensemble><temperature units='kelvin'> 300 </temperature></ensemble></system></simulation>
"""
RESTART = """<simulation><output prefix='simulation'/><system>
<beads natoms='3' nbeads='1'><m shape='(3)'> [ {masses} ] </m>
<names shape='(3)'> [ {names} ] </names></beads>
<motion mode='dynamics'><dynamics mode='nvt'/></motion>
<ensemble><temperature> 9.50044560e-04 </temperature></ensemble></system></simulation>
"""


def velocities_of(labels: list[str], masses: list[float], kt: float = KT) -> np.ndarray:
    """Each coordinate a vibration with the kinetic energy kT/2, ``[t, I, i]``."""
    rng, times = np.random.default_rng(1), FEMTOSECOND * np.arange(N_STEPS)
    waves = np.array([WAVENUMBERS.get(label.rstrip("0123456789"), 2500.0) for label in labels])
    phases = rng.uniform(0.0, 2.0 * np.pi, size=(len(labels), 3))
    turning = np.cos(INVERSE_CM * waves[:, None] * times[:, None, None] + phases)
    return np.sqrt(2.0 * kt / (np.array(masses) * DALTON))[:, None] * turning


def write(folder: Path, labels: list[str], velocities: np.ndarray) -> Path:
    head = "# CELL(abcABC): 9 9 9 90 90 90 Step: {} Bead: 0 v_centroid{{atomic_unit}}"
    frames = []
    for step, frame in enumerate(velocities):
        rows = (f"{a} {x:.6e} {y:.6e} {z:.6e}" for a, (x, y, z) in zip(labels, frame, strict=True))
        frames.append("\n".join([str(len(labels)), head.format(step), *rows, ""]))
    (folder / "simulation.vel.xyz").write_text("".join(frames))
    rows = (f"{step} {step * 1e-3:.6e}\n" for step in range(len(velocities)))
    header = "# column 1 --> step : n\n# column 2 --> time{picosecond} : t\n"
    (folder / "simulation.out").write_text(header + "".join(rows))
    return folder / "simulation"


def measure(prefix: Path, **given: float) -> tuple[float, float, str]:
    """Degrees of freedom at 1000 and at 2500 cm^-1, and which masses were used."""
    run = Run(prefix)
    velocities = run.velocities()
    masses = run.masses(velocities, given)
    found = vdos(velocities.values, masses.values, FEMTOSECOND, SpectrumSettings(100.0, 3))
    return found.integral(0, 1750).value, found.integral(1750, 9000).value, str(masses)


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What ``mlobs vdos`` says, without the figure."""
    monkeypatch.setattr(spectrum, "write_spectrum", lambda *results: None)

    def call(prefix: Path, *more: str) -> str:
        arguments = [str(prefix), "-o", "vdos", "--resolution", "100", "--blocks", "3", *more]
        return CliRunner().invoke(command, arguments, catch_exceptions=False).output

    return call


@pytest.mark.parametrize("labels", [["O", "D", "D"], ["O18", "D", "D"], ["C13", "H", "H"]])
def test_isotopes_in_the_labels_give_three_and_six_degrees_of_freedom(
    tmp_path: Path, labels: list[str]
) -> None:
    masses = [U[label] for label in labels]
    heavy, light, said = measure(write(tmp_path, labels, velocities_of(labels, masses)))
    # tails of the Parzen window
    assert heavy == pytest.approx(3.0, abs=0.05)
    assert light == pytest.approx(6.0, abs=0.05)
    assert "masses of i-PI's table of labels" in said


@pytest.mark.parametrize("kind", ["restart", "checkpoint", "input", "one by one"])
def test_masses_of_the_files_of_a_run_count_before_labels(tmp_path: Path, kind: str) -> None:
    labels, masses = ["O", "H", "H"], [U["O"], U["D"], U["D"]]
    prefix = write(tmp_path, labels, velocities_of(labels, masses))
    names, m = ", ".join(labels), ", ".join(f"{one * DALTON:.8e}" for one in masses)
    file = tmp_path / "input.xml"
    if kind == "restart":
        file = tmp_path / "RESTART"
        file.write_text(RESTART.format(masses=m, names=names))
    elif kind == "checkpoint":
        more = "<output prefix='simulation'><checkpoint filename='chk'/></output>"
        text = INPUT.format(masses="", mode="nvt")
        file.write_text(text.replace("<output prefix='simulation'/>", more))
        file = tmp_path / "simulation.chk_20"
        file.write_text(RESTART.format(masses=m, names=names))
    elif kind == "input":
        said = f"<masses mode='manual' units='dalton'> [15.999, {U['D']}, {U['D']}] </masses>"
        file.write_text(INPUT.format(masses=said, mode="nvt"))
    else:
        said = "".join(
            f"<masses mode='manual' index='{i}' units='dalton'> [{U['D']}] </masses>"
            for i in (1, 2)
        )
        file.write_text(INPUT.format(masses=said, mode="nvt"))
    heavy, light, output = measure(prefix)
    assert (heavy, light) == pytest.approx((3.0, 6.0), abs=0.05)
    assert f"masses of {file.name}: O 16, H 2.014 u" in output


def test_the_masses_of_a_run_of_ipi_are_those_of_its_restart(finished_run: Path) -> None:
    run = Run(finished_run / "simulation")
    found = run.masses(run.velocities())
    assert found.source == "RESTART"
    np.testing.assert_allclose(found.values / DALTON, [15.999, 1.008, 1.008], rtol=1e-6)


def test_masses_that_do_not_hold_the_centre_of_mass_of_a_run_of_ipi_are_refused(
    finished_run: Path,
) -> None:
    run = Run(finished_run / "simulation")
    velocities = run.velocities()
    # 1.008 of 15.999, and 17.9992/15.999 of it; positions and velocities have six digits
    for wrong, hydrogen in (({"H": U["D"]}, 1.008), ({"O": U["O18"]}, 1.134)):
        with pytest.raises(RecordError, match="at rest with masses in the ratio") as refused:
            run.masses(velocities, wrong)
        (found,) = re.findall(r"--mass H=([\d.]+)", str(refused.value))
        assert float(found) == pytest.approx(hydrogen, rel=1e-3)
    assert str(run.masses(velocities, {"H": 1.008})).startswith("masses of RESTART, H as given")


def test_a_restart_of_other_atoms_is_not_used_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = ["O", "D", "D"]
    prefix = write(tmp_path, labels, velocities_of(labels, [U[label] for label in labels]))
    (tmp_path / "RESTART").write_text(RESTART.format(masses="1, 1, 1", names="H, H, H"))
    assert measure(prefix)[:2] == pytest.approx((3.0, 6.0), abs=0.05)
    assert re.search(r"RESTART: holds 3 atoms H H H .* is not used", caplog.text)


def test_velocities_of_another_isotope_than_the_label_are_refused_and_both_remedies_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, run_command: Callable[..., str]
) -> None:
    labels, masses = ["O", "H", "H"], [U["O"], U["D"], U["D"]]
    prefix = write(tmp_path, labels, velocities_of(labels, masses))
    with pytest.raises(RecordError, match=r"O (299|300)\.\d+ .* K, H 150.*other masses") as refused:
        run_command(prefix)
    of_run, of_labels = re.findall(r"--mass (H=[\d.]+)", str(refused.value))
    said = run_command(prefix, "--mass", of_run)
    assert "H as given: O 16, H 2.01" in said
    assert "degrees of freedom: 9 = 3 x 3 atoms\n" in said
    assert measure(prefix, H=float(of_run[2:]))[:2] == pytest.approx((3.0, 6.0), abs=0.05)
    assert not caplog.messages
    measure(prefix, H=float(of_labels[2:]))  # a user who knows that it is not at equilibrium
    assert "the run is not at equilibrium, or has other masses" in caplog.text
    (tmp_path / "input.xml").write_text(INPUT.format(masses="", mode="nve"))
    assert "input.xml does not change" in measure(prefix)[2]


@pytest.mark.parametrize(("mode", "doubts"), [("nvt", True), ("nve", False)])
def test_one_species_is_held_against_the_temperature_of_a_thermostat(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str, doubts: bool
) -> None:
    prefix = write(tmp_path, ["H", "H"], velocities_of(["H", "H"], [U["D"], U["D"]]))
    (tmp_path / "input.xml").write_text(INPUT.format(masses="", mode=mode))
    measure(prefix)
    assert bool(re.search("H 150.* the ensemble 300 K", caplog.text)) == doubts


def at_rest(velocities: np.ndarray, masses: list[float]) -> np.ndarray:
    weights = np.array(masses) / np.sum(masses)
    return velocities - np.einsum("I,tIi->ti", weights, velocities)[:, None]


def test_a_resting_centre_of_mass_tells_ratios_of_masses_whatever_the_temperatures(
    tmp_path: Path, run_command: Callable[..., str]
) -> None:
    labels, masses = ["O", "H", "H"], [U["O"], U["D"], U["D"]]
    hot_and_cold = velocities_of(labels, masses) * np.array([0.3, 1.0, 2.0])[:, None]
    prefix = write(tmp_path, labels, at_rest(hot_and_cold, masses))
    (tmp_path / "input.xml").write_text(INPUT.format(masses="", mode="nve"))
    with pytest.raises(RecordError, match="centre of mass is at rest with masses in") as refused:
        measure(prefix)
    (given,) = re.findall(r"--mass (H=[\d.]+)", str(refused.value))
    assert float(given[2:]) == pytest.approx(2.014, rel=1e-4)  # the files have seven digits
    said = run_command(prefix, "--mass", given)
    assert "degrees of freedom: 6 = 3 x 3 atoms - 3 of the centre of mass, which is at r" in said


def test_fixed_atoms_and_a_resting_centre_are_no_degrees_of_freedom() -> None:
    masses = [U["O"]] + [U["D"]] * 3
    fixed = velocities_of(["O"] + ["D"] * 3, masses)
    free = at_rest(fixed, masses)
    fixed[:, 1] = 0.0
    settings = SpectrumSettings(100.0, 3)
    for velocities, said in (
        (fixed, "9 = 3 x 4 atoms - 3 of fixed coordinates"),
        (free, "9 = 3 x 4 atoms - 3 of the centre of mass, which is at rest"),
    ):
        assert str(find_freedom([velocities], np.array(masses))) == said
        found = vdos(velocities, np.array(masses), FEMTOSECOND, settings)
        assert found.integral(0, 20000).value == pytest.approx(9.0)  # all, up to Nyquist


def test_a_mass_of_no_atom_is_refused_with_the_labels(tmp_path: Path) -> None:
    prefix = write(tmp_path, ["O", "D"], velocities_of(["O", "D"], [U["O"], U["D"]])[:100])
    with pytest.raises(ConfigError, match=r"mass H=1: .* one of the labels O, D"):
        measure(prefix, H=1.0)


def test_a_column_of_masses_counts_before_labels_and_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """OD under the label H, as ASE writes it: the file says 2.014."""
    head = 'Properties=species:S:1:pos:R:3:masses:R:1:vel:R:3 pbc="F F F"'
    path = tmp_path / "simulation.extxyz"
    frame = f"2\n{head}\nO 0 0 0 15.999 1 0 0\nH 1 0 0 2.014 0 1 0\n"
    path.write_text(4 * frame)
    names, m = "O, H", f"{U['O'] * DALTON}, {U['H'] * DALTON}"
    (tmp_path / "RESTART").write_text(RESTART.format(masses=m, names=names))
    run = Run(tmp_path / "simulation", sources={"velocities": Source("vel", "nm/ps", path)})
    found = run.masses(run.velocities())
    assert str(found) == "masses of the trajectory itself: O 16, H 2.014 u"
    assert "H 2.014 u, which are used, but masses of RESTART: O 16, H 1.008 u" in caplog.text
    path.write_text(4 * frame.replace("2.014", "0.000"))
    with pytest.raises(RecordError, match="positive numbers; give others with --mass LABEL=U"):
        run.masses(run.velocities())
    assert "H 2.014" in str(run.masses(run.velocities(), {"H": U["D"]}))


def test_masses_that_a_short_run_cannot_judge_are_said_to_be_unjudged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Deuterium under the label H in a run with fewer than 20 independent samples."""
    velocities = velocities_of(["O", "H", "H"], [U["O"], U["D"], U["D"]])[:12]
    run = Run(write(tmp_path, ["O", "H", "H"], velocities))
    run.masses(run.velocities())
    assert "H 1.008 u are not compared with the velocities" in caplog.text
    caplog.clear()
    assert "H 2.014 u" in str(run.masses(run.velocities(), {"H": U["D"]}))
    assert not caplog.text
