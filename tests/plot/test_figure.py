"""Figures carry their numbers, and files beside them can be read by anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlobs_client import plot
from mlobs_client.errors import RecordError


def test_drawing_leaves_no_state_in_pyplot() -> None:
    code = "import sys, mlobs_client.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_json_holds_the_same_columns_and_a_summary_without_nan(tmp_path: Path) -> None:
    columns = {"curve": ["a", "a"], "error": [0.5, np.nan]}
    made = plot.Plot(Figure(), columns, {"largest": np.nan})
    files = plot.save(made, tmp_path / "new" / "p_300.5K")
    assert [file.name for file in files] == [f"p_300.5K.{e}" for e in ("png", "pdf", "csv", "json")]
    content = json.loads(files[3].read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["columns"] == {"curve": ["a", "a"], "error": [0.5, None]}
    assert content["summary"] == {"largest": None}


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot write the figure"):
        plot.save(plot.Plot(Figure(), {}, {}), tmp_path / "file" / "x")
