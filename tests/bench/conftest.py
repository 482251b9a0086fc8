"""A periodic water molecule and a bundled potential, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.bench.subject import Subject

WATER = """3
Lattice="9 0.2 0 0.1 9 0.3 -0.1 0 9" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0.0 0.0 0.0
H 0.757 0.586 0.0
H -0.757 0.586 0.1
"""


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    (tmp_path / "init.xyz").write_text(WATER)
    models = ("bundled:water/potential-0",)
    return Subject(models, str(tmp_path / "init.xyz"), compile=False)
