"""Write torch files as a whole, so that an interrupted write leaves the previous file in place."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mlobs_client.files import write_whole


def write_pickle(path: Path, content: Mapping[str, Any] | torch.nn.Module) -> None:
    """Write or replace a checkpoint or a network as a whole.

    Raises:
        ModelError: it cannot be written.
    """
    memory = io.BytesIO()  # to a file, torch says of a full disk that its position is wrong
    torch.save(content, memory)
    write_whole(path, memory.getvalue())
