"""``mlobs model``: showing and trusting."""

from __future__ import annotations

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


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_show_tells_class_species_and_cutoff() -> None:
    done = CliRunner().invoke(command, ["show", "bundled:water/dipole-0"])
    assert done.exit_code == 0, done.output
    assert "AtomicDipolesMACE for H, O, cutoff 4.00 angstrom" in done.output


def test_a_model_is_warned_of_until_it_is_trusted(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_files.load(BUNDLED / "dipole-0.model")
    with model_files.quiet_third_parties():
        torch.save(model.requires_grad_(False), home / "mine.model")
    model_files.load(home / "mine.model")
    assert "mlobs model trust" in caplog.text
    caplog.clear()
    done = CliRunner().invoke(command, ["trust", str(home / "mine.model")])
    assert done.exit_code == 0, done.output
    model_files.load(home / "mine.model")
    assert caplog.text == ""


def test_trust_goes_with_the_content_not_with_the_name(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = home / "another-name.model"
    shutil.copy(BUNDLED / "potential-0.model", copy)
    model_files.load(copy)
    assert caplog.text == ""


def test_a_network_of_something_else_is_no_traceback(home: Path) -> None:
    torch.save(torch.nn.Linear(2, 3), home / "linear.model")
    done = CliRunner().invoke(command, ["show", str(home / "linear.model")])
    assert isinstance(done.exception, ModelError)
    assert "contains a Linear, no network of MACE" in str(done.exception)
