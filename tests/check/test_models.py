"""Model files that nobody has trusted: the check says what it can, and loads nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from mlobs_client.check.files import check_all, check_physics
from mlobs_client.check.finding import Level, errors
from mlobs_client.check.ipi_parser import parse_with_ipi
from mlobs_client.check.models import check_model_files, require_trusted_input
from mlobs_client.client import config
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import ModelError
from mlobs_client.evaluate.model_files import digest, trust
from mlobs_client.ipi import input as ipi_input
from mlobs_client.launch import local
from mlobs_client.launch.options import RunOptions


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.ran}",)


@pytest.fixture
def ran(case, monkeypatch) -> Path:
    """Where a file appears if the model of the client is loaded; nothing is trusted."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(case.folder / "config"))
    torch.save(Evil(case.folder / "RAN"), case.folder / "evil.model")
    case.replace(case.client, 'kind = "toy"\nname = "qtip4pf"',
                 'kind = "mace"\nmodels = ["evil.model"]')  # fmt: skip
    case.replace(case.client, '["dipole"]', "[]")
    return case.folder / "RAN"


def test_a_model_that_is_not_trusted_is_described_refused_once_and_not_loaded(case, ran) -> None:
    found = list(check_all(case.input, [case.client]))
    path = case.folder / "evil.model"
    (said,) = [one.what for one in found if one.level is Level.WARNING and "evil" in one.what]
    assert f"sha256 {digest(path)}" in said
    assert "loading it would use posix.system" in said
    (refusal,) = [one for one in errors(found) if "is not trusted, so not loaded" in one.what]
    assert digest(path) in refusal.what
    assert refusal.remedy.endswith(f"run: mlobs model trust {path}")
    assert not ran.exists()


def test_who_follows_the_remedy_has_the_model_loaded(case, ran) -> None:
    trust(case.folder / "evil.model")
    client = ClientFile(case.client, config.load_config(case.client))
    (said,) = check_model_files(client)
    assert said.what == "client.toml: all model files exist and are trusted (1)"
    (refusal,) = errors(check_physics([case.client]))
    assert "contains a int, not a network" in refusal.what
    assert ran.exists()


def test_a_model_that_is_not_there_is_named(case, ran) -> None:
    (case.folder / "evil.model").unlink()
    (missing,) = errors(check_physics([case.client]))
    assert "'evil.model' matches no file" in missing.what


@pytest.mark.parametrize(
    "kind",
    [
        "<ffdirect name='mlobs' pbc='False'> <pes> mace </pes> <parameters> "
        "{{ template: init.xyz, model: {model} }} </parameters> </ffdirect>",
        "<ffdirect name='mlobs' pbc='False'> <pes> mace </pes> <parameters> "
        "{{ template: init.xyz, model: ['{model}'] }} </parameters> </ffdirect>",
        "<ffsgdml name='mlobs' pbc='False'> <sGDML_model> {model} </sGDML_model> </ffsgdml>",
    ],
)
@pytest.mark.parametrize("model", ["evil.model", "/evil.model"])
def test_a_model_that_i_pi_itself_would_load_must_be_trusted(
    case, ran: Path, kind: str, model: str
) -> None:
    model = f"{case.folder}{model}" if model.startswith("/") else model
    socket = re.search(r"<ffsocket.*?</ffsocket>", case.input.read_text(), re.DOTALL)
    case.replace(case.input, socket[0], kind.format(model=model))
    with pytest.raises(ModelError, match=f"run: mlobs model trust {case.folder}/evil.model$"):
        parse_with_ipi(case.input)
    with pytest.raises(ModelError, match=f"run: mlobs model trust {case.folder}/evil.model$"):
        local.run(ipi_input.read(case.input), [], lambda status: None, RunOptions())
    assert not ran.exists()
    trust(case.folder / "evil.model")
    require_trusted_input(ipi_input.read(case.input), case.folder)
