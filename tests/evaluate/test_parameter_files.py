"""Which files that parameters name can run code when a calculator loads them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate import parameter_files
from mlobs_client.evaluate.parameter_files import can_run_code, that_can_run_code


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    return content.getvalue()


def _saved(write: object) -> bytes:
    content = io.BytesIO()
    write(content)  # type: ignore[operator]
    return content.getvalue()


OLD_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, 0) + pickle.dumps(1001, 0)
"""How torch began its files before they were archives; all of it can be plain text."""


@pytest.mark.parametrize(
    "content",
    [
        *[pickle.dumps(Evil(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)],
        pickle.dumps(Evil(), 0).removesuffix(b"."),  # it has run when the end is missed
        b"(I1\nicodecs\nencode\n.",  # INST
        OLD_TORCH + pickle.dumps(Evil(), 0),
        b"Pwhat torch stores elsewhere\n.",
        _saved(lambda file: torch.save(Evil(), file)),
        _saved(lambda file: torch.save(Evil(), file, _use_new_zipfile_serialization=False)),
        _saved(lambda file: np.save(file, np.array([Evil()]), allow_pickle=True)),
        _tar(),
    ],
)
def test_what_can_run_code_is_seen_in_every_form(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    assert can_run_code(tmp_path / "model")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"clear\nunits metal\natom_style full\n",  # LAMMPS: as a pickle, "metal" of "lear"
        b"&GLOBAL\n PROJECT water\n&END\n",
        b"3\nLattice\nO 0 0 0\n",
        b"I am a text.\n",
        b"(parameters)\n",
        b"cutoff 3.0 for all\n",
        b"\x89HDF\r\n\x1a\n",
        b'{"a": 1}',
        b"# a comment\n",
        b"[table]\na = 1\n",
        b"(a comment)\n1 2 3\n",
        b"c a comment\n",
        b"pair_style lj\n",
        b"name: x.\n",
        b"\xffbytes.",
        _saved(lambda file: np.save(file, np.eye(3))),
    ],
)
def test_inputs_of_other_programs_are_no_models(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(content)
    assert not can_run_code(tmp_path / "input")


def test_what_cannot_be_read_may_be_code(tmp_path: Path) -> None:
    assert can_run_code(tmp_path / "gone")


def test_names_are_found_at_any_depth(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(pickle.dumps(Evil(), 0))
    odd = ["PBE", "\0", ".", "", "x" * 5000, 1, None]
    assert list(that_can_run_code({"a": [{"b": str(model)}, odd], "c": (str(model),)})) == [
        model,
        model,
    ]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_what_is_packed_is_looked_into(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.gz"
    for content, is_code in (
        (pickle.dumps(Evil()), True),
        (pickle.dumps(Evil(), 0), True),
        (b"pair_style lj\n" * 99, False),
        (_saved(lambda file: np.save(file, np.eye(3))), False),
    ):
        path.write_bytes(pack(content))
        assert can_run_code(path) == is_code
    path.write_bytes(b"x\x01 a text that begins as zlib does")
    assert not can_run_code(path)


def test_files_of_a_folder_are_looked_at_but_not_those_of_the_folder_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "models" / "deep" / "weights"
    model.parent.mkdir(parents=True)
    model.write_bytes(pickle.dumps(Evil()))
    (model.parent / "config.json").write_text("{}")
    (model.parent / "back").symlink_to(tmp_path / "models")
    assert list(that_can_run_code({"path": "models"}, tmp_path)) == [model]
    assert list(that_can_run_code([".", "", "..", str(tmp_path)], tmp_path)) == []
    monkeypatch.setattr(parameter_files, "MOST", 1)
    with pytest.raises(ModelError, match=r"more than 1 files .* name a folder in it"):
        list(that_can_run_code("models", tmp_path))
