"""Runs of a field scan are combined if only seeds differ, and refused otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scans import CELL, DIRECTION, N_MOLECULES, draw_sample

from mlobs_client.errors import RecordError
from mlobs_client.ipi.labels import masses_of
from mlobs_client.studies.field_runs import group_by_field
from mlobs_client.units import FEMTOSECOND, KELVIN, VOLT_PER_ANGSTROM

POSITIONS = draw_sample(0.3, 0.1, seed=7).positions
DIFFERENCES: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 320.0 * KELVIN}, r"temperature \(300 and 320 K\)"),
    ({"has_barostat": True}, r"ensemble \(one has a barostat"),
    (
        {"positions": replace(POSITIONS, cells=1.01 * POSITIONS.cells)},
        r"cell, though there is no barostat \(\[\[9.0, .* and \[\[9.09, .* angstrom\)",
    ),
    (
        {"positions": replace(POSITIONS, numbers=POSITIONS.numbers[:-3])},
        r"atoms or their order \(8 of Z = 8, 16 of Z = 1 and 7 of Z = 8, 14 of Z = 1\)",
    ),
    ({"masses": masses_of(("O", "D", "D") * N_MOLECULES)}, r"masses \(isotopes\)"),
    ({"velocities_spacing": 20.0 * FEMTOSECOND}, r"time between velocities \(10 and 20 fs\)"),
]
"""Of runs of one curve or field, and how they are said."""


def test_runs_are_sorted_by_beads_and_by_fields_with_their_signs() -> None:
    given = [(0.2, 2, 0), (0.1, 1, 0), (-0.1, 1, 0), (0.1, 1, 1)]  # field, beads, seed
    samples = [draw_sample(field, 0.2, beads, 20, seed) for field, beads, seed in given]
    direction, groups = group_by_field(samples)
    np.testing.assert_allclose(direction, DIRECTION)
    assert list(groups) == [1, 2]
    found = [(runs.field, [sample.name for sample in runs.samples]) for runs in groups[1]]
    assert found == [(-0.1, [samples[2].name]), (0.1, [samples[1].name, samples[3].name])]
    assert [runs.field for runs in groups[2]] == [0.2]


def test_times_and_volume_are_those_of_the_samples() -> None:
    (runs,) = group_by_field([draw_sample(0.1, 0.2, n_samples=20)])[1][1]
    assert runs.positions_interval == pytest.approx(0.01)  # ps: every 10 fs
    # the drawn duration is that of 20 intervals, between 20 samples there are 19
    assert runs.dipoles_interval == pytest.approx(0.01 * 20 / 19)
    assert runs.volume == pytest.approx(float(np.linalg.det(CELL)))


def test_what_cannot_be_one_scan_is_refused() -> None:
    with pytest.raises(RecordError, match="all fields are zero"):
        group_by_field([draw_sample(0.0, 0.1)])
    across = draw_sample(0.0, 0.1, seed=5)
    across.field[:] = 0.1 * VOLT_PER_ANGSTROM * np.cross(DIRECTION, [0.6, 0.0, 0.8])
    others = [draw_sample(0.0, 0.1), draw_sample(0.3, 0.1)]
    with pytest.raises(RecordError, match=r"the field of beads=1_field=0_seed=5, .* is not along"):
        group_by_field([*others, across])
    for change, message in DIFFERENCES:
        other = replace(draw_sample(0.3, 0.1, seed=7), **change)
        with pytest.raises(RecordError, match=message) as raised:
            group_by_field([*others, other])
        assert "beads=1_field=0.3_seed=7 cannot be combined" in str(raised.value)
