"""mlobs compile: networks are compiled before the first client starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from ipi_runs import OSCILLATORS, OSCILLATORS_CLIENT

from mlobs_client.cli import group
from mlobs_client.errors import ConfigError


def test_a_client_file_without_networks_needs_no_compilation(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text(OSCILLATORS)
    (tmp_path / "client.toml").write_text(OSCILLATORS_CLIENT)
    done = CliRunner().invoke(group, ["compile", str(tmp_path / "client.toml")])
    assert done.exit_code == 0, done.output
    assert "compiled" in done.output


def test_a_client_file_that_refuses_compilation_is_not_overruled(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text("compile = false\n" + OSCILLATORS_CLIENT)
    done = CliRunner().invoke(group, ["compile", str(tmp_path / "client.toml")])
    assert isinstance(done.exception, ConfigError)
    assert "compile = false" in str(done.exception)


@pytest.mark.timeout(600)
def test_bundled_models_are_compiled_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "init.xyz").write_text(OSCILLATORS.replace("12.3", "0.3"))
    (tmp_path / "client.toml").write_text(
        'structure = "init.xyz"\n[potential]\nkind = "mace"\nmodels = ["bundled:water/potential-0"]\n'
    )
    arguments = ["compile", str(tmp_path / "client.toml"), "-b", "2"]
    for _ in range(2):
        done = CliRunner().invoke(group, arguments)
        assert done.exit_code == 0, done.output
        assert "compiled: clients" in done.output
