"""Observables of several runs, from extras and from records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written_runs import write_record, write_run

from mlobs_client.analysis import SpectrumSettings, infrared, infrared_from_currents
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi import (
    open_trajectory,
    read_bead_extras,
    read_beads,
    read_extras,
    read_properties,
)
from mlobs_client.record import open_record
from mlobs_client.studies import Run, RunSet
from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM, KELVIN

LENGTH = 20.0  # bohr
TIMESTEP = 2.0 * FEMTOSECOND  # each fourth step of 0.5 fs
N_SAMPLES = 2000
CHARGES = np.array([[[0.9, 0.2, -0.1], [0.1, 0.7, 0.3], [-0.2, 0.1, 0.8]]])  # [I, i, j], e
OMEGA = 1000.0 * INVERSE_CM


def vibrating(n_beads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Displacements ``[t, b, i]``, bohr, of one atom, and its velocities, bohr/atu."""
    t = TIMESTEP * np.arange(N_SAMPLES)[:, None, None]
    phases = np.array([0.0, 1.0, 2.0]) + np.arange(n_beads)[:, None]
    size = np.array([0.1, 0.2, 0.15])
    return size * np.cos(OMEGA * t + phases), -size * OMEGA * np.sin(OMEGA * t + phases)


def write(folder: Path, n_beads: int = 1) -> tuple[Path, Path]:
    """A run of one atom with constant Born charges, and the record of its client."""
    places, velocities = vibrating(n_beads)
    dipoles = places @ CHARGES[0].T + [0.0, 1.0, 0.0]
    prefix, record = folder / "simulation", folder / "observables.h5"
    write_run(prefix, dipoles[:, 0], LENGTH, velocities=velocities)
    if n_beads > 1:
        prefix.with_name("simulation.dipole_0").unlink()
    charges = np.tile(CHARGES, (N_SAMPLES, n_beads, 1, 1, 1))
    write_record(record, prefix, {"born_charges": charges, "dipole": dipoles})
    return prefix, record


@pytest.mark.parametrize("n_beads", [1, 2])
def test_recorded_born_charges_and_velocities_are_the_derivative_of_the_mean_dipole(
    tmp_path: Path, n_beads: int
) -> None:
    prefix, record = write(tmp_path, n_beads)
    found = RunSet([prefix], records=[record]).currents()
    _, velocities = vibrating(n_beads)
    right = velocities.mean(axis=1) @ CHARGES[0].T
    # velocities have 13 digits
    np.testing.assert_allclose(found.values[0], right, rtol=1e-8, atol=1e-15)
    assert found.estimator == ("classical nuclei" if n_beads == 1 else "mean over 2 beads")


def test_born_charges_come_from_extras_where_there_is_no_record(tmp_path: Path) -> None:
    prefix, record = write(tmp_path)
    rows = "\n".join(" ".join(map(str, column)) for column in CHARGES[0].T)  # [3 I + j, i]
    text = "".join(f" #EXTRAS(BEC)# Step:  {4 * t:10d} \n{rows}\n" for t in range(N_SAMPLES))
    prefix.with_name("simulation.BEC_0").write_text(text)
    sent, recorded = RunSet([prefix]).currents(), RunSet([prefix], records=[record]).currents()
    np.testing.assert_allclose(sent.values[0], recorded.values[0], rtol=1e-12)


def test_dipoles_and_currents_lead_to_one_absorption(tmp_path: Path) -> None:
    prefix, record = write(tmp_path)
    runs = RunSet([prefix], records=[record])
    settings, kt = SpectrumSettings(resolution=100.0, n_blocks=3), 300.0 * KELVIN
    areas = []
    for samples, analyse in (
        (runs.dipoles(), infrared),
        (runs.currents(), infrared_from_currents),
    ):
        made = analyse(samples.stretches, samples.spacing, samples.volume, kt, settings=settings)
        areas.append(made.integral(500.0, 1500.0).value)
    # one sample less of one period in 17 of them, and wings of the line at other wavenumbers
    assert areas[1] == pytest.approx(areas[0], rel=0.01)


def test_any_observable_is_read_from_extras_as_the_mean_over_beads(tmp_path: Path) -> None:
    tensors = np.random.default_rng(2).normal(size=(60, 3, 3))
    write_run(tmp_path / "simulation", np.zeros((60, 3)), LENGTH, polarizabilities=tensors)
    found = RunSet([tmp_path / "simulation"], skip=0.02).polarizabilities()
    np.testing.assert_allclose(found.values[0], tensors[10:], rtol=1e-10)
    with pytest.raises(ConfigError, match="'dipol' is not an observable; did you mean 'dipole'"):
        RunSet([tmp_path / "simulation"]).observable("dipol")


@pytest.mark.parametrize("n_members", [1, 3])
def test_one_member_is_no_committee(tmp_path: Path, n_members: int) -> None:
    prefix, record = tmp_path / "simulation", tmp_path / "observables.h5"
    tensors = np.random.default_rng(3).normal(size=(20, 2, n_members, 3, 3))
    write_run(prefix, np.zeros((20, 3)), LENGTH)
    recorded = {"polarizability": tensors.mean(axis=2), "committee_polarizabilities": tensors}
    write_record(record, prefix, {**recorded, "dipole": np.zeros((20, 2, 3))})
    prefix.with_name("simulation.dipole_0").unlink()
    members = RunSet([prefix], records=[record]).polarizabilities().members
    if n_members == 1:
        assert members is None
    else:
        assert members is not None
        right = np.moveaxis(tensors.mean(axis=1), 1, 0)
        np.testing.assert_allclose(members[0], right, rtol=1e-12)


def test_velocities_of_fewer_beads_than_charges_are_refused(tmp_path: Path) -> None:
    prefix, record = write(tmp_path, 2)
    prefix.with_name("simulation.v_1.xyz").unlink()
    with pytest.raises(RecordError, match="has velocities of only 1 of 2 beads"):
        RunSet([prefix], records=[record]).currents()


def test_sets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one prefix"):
        RunSet([])
    with pytest.raises(ConfigError, match="1 records for 2 runs"):
        RunSet(["a", "b"], records=[tmp_path])


def test_velocities_come_with_masses(tmp_path: Path) -> None:
    found = RunSet([write(tmp_path)[0]]).velocities({"H": 2.014})
    assert found.masses.values == pytest.approx(2.014 * DALTON)
    assert found.estimator == "velocities of atoms"


def test_paths_may_be_strings(tmp_path: Path) -> None:
    prefix, record = write(tmp_path, n_beads=2)
    as_strings = RunSet([str(prefix)], records=[str(record)]).currents().values[0]
    assert (as_strings == RunSet([prefix], records=[record]).currents().values[0]).all()
    assert (Run(str(prefix)).properties["step"] == read_properties(f"{prefix}.out")["step"]).all()
    assert len(open_record(str(record))) == 2 * N_SAMPLES
    velocities = read_beads(f"{prefix}.v").values[:, 1]
    assert (open_trajectory(f"{prefix}.v_1.xyz").read_all().values == velocities).all()
    rows = read_bead_extras(f"{prefix}.record_row").values["record_row"][:, 1]
    assert (read_extras(f"{prefix}.record_row_1").values["record_row"] == rows).all()


def test_a_set_knows_which_files_it_has_read(tmp_path: Path) -> None:
    prefix, record = write(tmp_path)
    runs = RunSet([prefix], records=[record])
    _ = runs.currents().volume
    names = {path.name for path in runs.inputs}
    assert names >= {
        "observables.h5",
        "simulation.pos_0.xyz",
        "simulation.v_0.xyz",
        "simulation.record_row_0",
    }
