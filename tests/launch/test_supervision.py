from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.launch import supervision


def test_an_installation_without_ipi_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(supervision.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="pip install ipi"):
        supervision.find_ipi()


def test_ipi_is_found_beside_the_running_python():
    assert Path(supervision.find_ipi()).name == "i-pi"
