"""Where a result comes from."""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from mlobs_client.errors import RecordError
from mlobs_client.results import Provenance


def test_provenance_has_the_hashes_of_the_inputs(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"what was read")
    made = Provenance.of([file, file], ["mlobs", "ir"])
    assert made.inputs == {str(file): hashlib.sha256(b"what was read").hexdigest()}
    always = {"python", "mlobs", "ipi", "numpy", "scipy"}
    assert always <= set(made.versions) <= always | {"torch", "mace-torch"}


@pytest.mark.parametrize("loaded", [True, False])
def test_provenance_has_the_versions_of_networks_where_they_were_loaded(
    monkeypatch: pytest.MonkeyPatch, *, loaded: bool
) -> None:
    for module, package in (("torch", "torch"), ("mace", "mace-torch")):
        if loaded:
            monkeypatch.setitem(sys.modules, module, ModuleType(module))
        else:
            monkeypatch.delitem(sys.modules, module, raising=False)
        found = Provenance.of().versions.get(package)
        assert found == (metadata.version(package) if loaded else None)


def test_an_input_that_has_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"RESTART: cannot be read any more .*; put it back, and"):
        Provenance.of([tmp_path / "RESTART"])
