"""``mlobs model``: showing and trusting."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mlobs_client.cli.model import command
from mlobs_client.errors import ModelError
from mlobs_client.evaluate import model_files

BUNDLED = Path(str(files("mlobs_client") / "models/water"))


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.ran}",)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_show_tells_class_species_and_cutoff() -> None:
    done = CliRunner().invoke(command, ["show", "bundled:water/dipole-0"])
    assert done.exit_code == 0, done.output
    assert "AtomicDipolesMACE for H, O, cutoff 4.00 angstrom" in done.output


def test_of_a_file_that_is_not_trusted_all_is_shown_that_needs_no_loading(home: Path) -> None:
    ran, path = home / "RAN", home / "evil.model"
    torch.save(Evil(ran), path)
    done = CliRunner().invoke(command, ["show", str(path), "bundled:water/dipole-0"])
    assert not ran.exists()
    for part in (
        f"{path}: not trusted, {path.stat().st_size} bytes",
        f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}",
        "evil/data.pkl",
        "loading it would use posix.system",
        "AtomicDipolesMACE for H, O",  # the one that is trusted
    ):
        assert part in done.output
    assert isinstance(done.exception, ModelError)
    assert str(done.exception).endswith(f"run: mlobs model trust {path}")


def test_of_a_network_of_ones_own_the_packages_are_counted(home: Path) -> None:
    network = model_files.load(BUNDLED / "dipole-0.model")
    with model_files.quiet_third_parties():
        torch.save(network.requires_grad_(False), home / "mine.model")
    done = CliRunner().invoke(command, ["show", str(home / "mine.model")])
    assert re.search(r"68 tensors; loading it would use \d+ names of torch, \d+ names of e3nn, \d+ "
                     r"names of mace, builtins.getattr\n", done.output)  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"PK\x03\x04" + bytes(40)])
def test_a_file_that_is_no_archive_is_said_to_be_none(content: bytes, home: Path) -> None:
    (home / "it.model").write_bytes(content)
    done = CliRunner().invoke(command, ["show", str(home / "it.model")])
    assert "not an archive of torch" in done.output
    assert isinstance(done.exception, ModelError)


def test_trust_goes_with_the_content_not_with_the_name(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = home / "another-name.model"
    shutil.copy(BUNDLED / "potential-0.model", copy)
    model_files.load(copy)
    assert caplog.text == ""


def test_a_network_of_something_else_is_no_traceback(home: Path) -> None:
    torch.save(torch.nn.Linear(2, 3), home / "linear.model")
    model_files.trust(home / "linear.model")
    done = CliRunner().invoke(command, ["show", str(home / "linear.model")])
    assert isinstance(done.exception, ModelError)
    assert "contains a Linear, not a MACE network" in str(done.exception)
