"""The dipole along a path is drawn from its start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csv_files import column

from mlobs_client import plot
from mlobs_client.errors import ConfigError


def test_the_numbers_of_the_path_are_beside_its_figure(tmp_path: Path) -> None:
    along = np.array([0.0, -0.7, -1.2, -2.0])
    one = plot.plot_winding({"O": along})
    assert one.summary == {"O": -2.0}
    table = plot.save(one, tmp_path / "winding")[2]
    np.testing.assert_allclose(column(table, "dipole from the start (quanta)"), along)
    np.testing.assert_allclose(column(table, "fraction of the path"), [0, 1 / 3, 2 / 3, 1])


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(ConfigError, match="no path"):
        plot.plot_winding({})
