"""mlobs compile: networks are compiled before the first client starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from compiled import CLIENT, compile_client, write_client
from ipi_runs import OSCILLATORS, OSCILLATORS_CLIENT

from mlobs_client.cli import group
from mlobs_client.client.build import assemble
from mlobs_client.client.config import load_config
from mlobs_client.client.total_energy import predict
from mlobs_client.errors import ConfigError, ModelError


def test_a_client_file_without_networks_needs_no_compilation(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text(OSCILLATORS)
    (tmp_path / "client.toml").write_text(OSCILLATORS_CLIENT)
    done = CliRunner().invoke(group, ["compile", str(tmp_path / "client.toml")])
    assert done.exit_code == 0, done.output
    assert "nothing to compile" in done.output


def test_a_failed_compilation_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(group, ["compile", str(write_client(tmp_path))])
    assert isinstance(done.exception, ModelError)
    assert "compiler" in done.output
    assert "compiled:" not in done.output.splitlines()[-1]


def test_a_client_file_that_refuses_compilation_is_not_overruled(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text("compile = false\n" + OSCILLATORS_CLIENT)
    done = CliRunner().invoke(group, ["compile", str(tmp_path / "client.toml")])
    assert isinstance(done.exception, ConfigError)
    assert "compile = false" in str(done.exception)


@pytest.mark.timeout(900)  # the compiler beside other work
def test_what_was_compiled_gives_the_numbers_of_the_networks(tmp_path: Path) -> None:
    client = compile_client(tmp_path)
    found = []
    for text in (CLIENT, "compile = false\n" + CLIENT):
        client.write_text(text)
        assembly = assemble(load_config(client), tmp_path)
        found.append(predict([assembly.structure] * 2, assembly.evaluators))
    (compiled, again), (expected, _) = found
    assert compiled.energy != expected.energy or not np.array_equal(
        compiled.forces, expected.forces
    ), "rounding differs, or nothing was compiled"
    assert again.energy == compiled.energy
    assert abs(compiled.energy - expected.energy) < 1e-11
    np.testing.assert_allclose(compiled.forces, expected.forces, atol=1e-12)
    np.testing.assert_allclose(compiled.virial, expected.virial, atol=1e-12)
