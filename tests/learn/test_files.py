"""What torch cannot write is one line with its reason, and what was there before stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.learn.files import write_pickle

FULL = Path("/dev/full")  # every write says that no space is left


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full of Linux")
def test_a_full_disk_is_named_and_the_file_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "it"
    write_pickle(path, {"step": 1})
    before = path.read_bytes()
    (tmp_path / "it.partial").symlink_to(FULL)
    with pytest.raises(
        ModelError, match=r"it: cannot be written: No space left .* repeat the command"
    ):
        write_pickle(path, {"step": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_torch_writes_is_read_by_torch(tmp_path: Path) -> None:
    write_pickle(tmp_path / "it", {"weights": torch.arange(3.0)})
    found = torch.load(tmp_path / "it", weights_only=True)
    assert found["weights"].tolist() == [0.0, 1.0, 2.0]
