"""What a user installs: the wheel, outside the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "build", "*.egg-info", "demo_output", ".*_cache"
    )
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(folder), str(source)], check=True, capture_output=True)
    (path,) = folder.glob("mlobs-*.whl")
    return path


def test_the_wheel_carries_models_and_templates_within_twelve_megabytes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    models = {name: size for name, size in sizes.items() if name.endswith(".model")}
    assert len(models) == 12
    assert sum(models.values()) < 12e6
    assert "mlobs_client/models/water/SHA256SUMS" in sizes
    assert "mlobs_client/py.typed" in sizes
    assert any(
        name.startswith("mlobs_client/templates/") and name.endswith(".xml") for name in sizes
    )


def test_the_installed_wheel_works_in_a_fresh_environment_outside_the_tree(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    # by the pip of this environment: making another one takes long
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", "--no-deps", wheel], check=True, capture_output=True)
    # The dependencies of this environment are borrowed: a path file inside a path file is not
    # read, so an editable installation of this tree stays out of sight.
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    work = tmp_path / "work"
    work.mkdir()
    code = "import mlobs_client; print(mlobs_client.__file__)"
    where = subprocess.run(
        [python, "-c", code], cwd=work, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(tmp_path / "env"))
    mlobs = tmp_path / "env" / "bin" / "mlobs"
    subprocess.run([mlobs, "init", "water-nve", "."], cwd=work, check=True, capture_output=True)
    checked = subprocess.run(
        [mlobs, "check", "input.xml", "client.toml"], cwd=work, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
