"""Samples of runs in a field: what they are made of, and which runs and columns are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written_runs import write_run

from mlobs_client.cli.field_samples import FieldSamples, read_field_samples
from mlobs_client.errors import RecordError
from mlobs_client.studies.runs import Run
from mlobs_client.units import ANGSTROM, VOLT_PER_ANGSTROM

LENGTH = 9.0 * ANGSTROM
FIELD = np.array([0.0, 0.1 * VOLT_PER_ANGSTROM, 0.0])
DIPOLES = np.random.default_rng(1).normal(size=(40, 3))
POTENTIAL = np.random.default_rng(2).normal(size=40)
COUPLING = '{}\nvector = [0.0, 0.1, 0.0]\nunit = "V/angstrom"\n{}'


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    write_run(tmp_path / "run" / "simulation", DIPOLES, LENGTH, POTENTIAL)
    return tmp_path / "run" / "simulation"


def read(
    prefix: Path, observable: str = "polarization", second_order: bool = False
) -> FieldSamples:
    run = Run(prefix)
    dipoles = run.dipoles()
    return read_field_samples(
        run, dipoles.steps, dipoles.mean, observable, FIELD, second_order=second_order
    )


def test_the_potential_is_that_without_the_energy_of_the_field(prefix: Path) -> None:
    found = read(prefix, "potential")
    assert found.values is not None
    # the file has nine digits
    np.testing.assert_allclose(found.values, POTENTIAL + DIPOLES @ FIELD, atol=1e-7)
    np.testing.assert_allclose(found.dipoles, DIPOLES, atol=1e-7)
    assert np.linalg.det(found.cell) == pytest.approx(LENGTH**3, rel=1e-6)


@pytest.mark.parametrize(
    "column",
    ["conserved", "forcemod", "kinetic_cv", "bead_potentials", "atom_f(0)", "kinetic_md", "spam"],
)
def test_what_may_contain_the_field_of_the_run_is_refused(column: str, prefix: Path) -> None:
    out = prefix.with_name("simulation.out")
    out.write_text(out.read_text().replace("potential", column))
    with pytest.raises(RecordError, match=r"may contain the field .* polarization, potential, kin"):
        read(prefix, column)


@pytest.mark.parametrize(
    ("client", "second_order", "refusal"),
    [
        (COUPLING.format("[displacement]", ""), False, r"has \[displacement\]: the energy"),
        (COUPLING.format("[field]", "reduced = true"), False, r"has \[field\] with reduced = true"),
        (COUPLING.format("[field]", "second_order = true"), False, "reweighted without --second"),
        (COUPLING.format("[field]", ""), True, "reweighted with --second-order"),
    ],
)
def test_runs_with_another_energy_of_the_field_are_refused(
    client: str, second_order: bool, refusal: str, prefix: Path
) -> None:
    prefix.with_name("client.toml").write_text(f'structure = "init.xyz"\n{client}\n')
    with pytest.raises(RecordError, match=f"client.toml: .*{refusal}"):
        read(prefix, second_order=second_order)


def test_the_client_file_of_a_field_of_first_order_is_no_reason_to_refuse(prefix: Path) -> None:
    prefix.with_name("other.toml").write_text("[study]\nname = 1\n")
    client = COUPLING.format("[field]", "")
    prefix.with_name("client.toml").write_text(f'structure = "init.xyz"\n{client}\n')
    assert len(read(prefix).dipoles) == len(DIPOLES)


def test_a_run_with_a_barostat_is_refused(prefix: Path) -> None:
    positions = prefix.with_name("simulation.pos_0.xyz")
    later = positions.read_text().replace("90.0  Step: 0", "90.0  Step: 4")
    length = f"{LENGTH:.8f}"
    assert length in later
    longer = later.replace(length, f"{1.001 * LENGTH:.8f}", 1)
    positions.write_text(positions.read_text() + longer)
    with pytest.raises(RecordError, match="the cell changes; only runs without a barostat"):
        read(prefix)
