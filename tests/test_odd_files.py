"""Whatever is in a file or in place of it, it is read or refused in one line."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipi_runs import make_input

from mlobs_client import cli
from mlobs_client.campaign.campaign import load as load_campaign
from mlobs_client.client import config
from mlobs_client.errors import MlobsError
from mlobs_client.evaluate import trusted_list
from mlobs_client.evaluate.card import read_card
from mlobs_client.evaluate.model_archive import describe_file
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi import open_trajectory, read_extras, read_properties
from mlobs_client.launch.progress import Progress
from mlobs_client.record import RecordWriter, open_record

FRAME = "2\n# CELL(abcABC): 9 9 9 90 90 90 Step: {} positions{{angstrom}}\nO 0 0 0\nH 0 0 1\n"
OUTPUT = "<output> <properties stride='2'> [step, time{picosecond}] </properties> </output>"
CAMPAIGN = 'template = "."\nclients = 1\nstart = "x"\n[parameters]\nseed = [1, 2]\n'


def _read_record(path: Path) -> None:
    record = open_record(path)
    for name in record.names:
        record.read(name)


@dataclass(frozen=True)
class Kind:
    """A kind of files: how one is read, and what a good one holds."""

    read: Callable[[Path], object]
    content: bytes


KINDS = {
    "client": Kind(
        config.load_config,
        b'structure = "a.xyz"\nthreads = 2\n[potential]\nkind = "mace"\nmodels = ["a"]\n'
        b"[observables]\nstride = { dipole = 2 }\nextras = ['dipole']\n",
    ),
    "input": Kind(
        lambda path: Progress(ipi_input.read(path)),
        make_input(OUTPUT, "<ffsocket name='a'> <port> 31415 </port> </ffsocket>").encode(),
    ),
    "trajectory": Kind(
        lambda path: open_trajectory(path).read_all(),
        "".join(FRAME.format(step) for step in (0, 2, 4)).encode(),
    ),
    "properties": Kind(
        read_properties,
        b"# column   1     --> step : It.\n# cols.    2-3   --> cell_h{angstrom} : It.\n"
        b"0 1 2\n1 2 3\n",
    ),
    "extras": Kind(
        read_extras,
        b" #EXTRAS(dipole)# Step:          0 \n 1.0 2.0 3.0 \n"
        b" #EXTRAS(dipole)# Step:          1 \n 1.0 2.0 3.0 \n",
    ),
    "raw extras": Kind(
        read_extras,
        b' #EXTRAS(raw)# Step:          0 \n{\'raw\': [\'{"dipole":[1.0,2,3],"a":"b"}\']}\n',
    ),
    "card": Kind(
        lambda path: read_card([path.with_name("a.model")]),
        b'{"format": "mlobs calibration 1", "limits": "", "committees": [{"members": {}, '
        b'"quantities": {}}]}',
    ),
    "trusted models": Kind(
        lambda _: trusted_list.trusted(),
        json.dumps({"format": "mlobs trusted models 1", "models": {64 * "a": "a.model"}}).encode(),
    ),
    "campaign": Kind(load_campaign, CAMPAIGN.encode()),
    "model": Kind(partial(describe_file, sha256=""), b"PK\x03\x04" + bytes(30)),
    "record": Kind(_read_record, b""),
}
NAMES = {
    "card": "calibration.json",
    "trusted models": "mlobs/trusted_models.json",
}
ODD = [
    b"\xff",
    b"\0",
    b"\r",
    "²".encode(),
    20 * b"9",
    5000 * b"9",
    b"-1",
    b"nan",
    b"inf",
    b"",
    b"[",
    b"{",
    b"'",
    b'"',
    b"<",
    b"/",
    b"\n",
    3000 * b"[",
    b"1e999",
    b"\xe2\x80\xa8",
]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(ODD) | st.binary(max_size=4)
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("record") / "a.h5"
    with RecordWriter(path, {"dipole": (3,), "step": ()}, {"model": "m", "numbers": [8]}) as writer:
        writer.append([{"dipole": [1.0, 2.0, 3.0], "step": step} for step in range(4)])
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "mlobs").mkdir()
    (tmp_path / "a.model").write_text("a model")
    return tmp_path


def edited(content: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Put odd bytes in place of some; the places are fractions of the length."""
    for place, n_lost, new in edits:
        at = place * len(content) // 10**6
        content = content[:at] + new + content[at + n_lost :]
    return content


def refusal(kind: Kind, path: Path) -> str:
    """What is said against a file, if anything."""
    try:
        kind.read(path)
    except MlobsError as error:
        return str(error)
    return ""


@pytest.fixture(params=list(KINDS))
def good(request: pytest.FixtureRequest, folder: Path, record: bytes) -> tuple[Kind, Path]:
    """A kind of files, and a good one, which is its user's own."""
    kind = KINDS[request.param]
    path = folder / NAMES.get(request.param, "it")
    path.write_bytes(kind.content or record)
    path.chmod(0o600)
    return kind, path


def test_a_file_with_odd_bytes_is_read_or_refused_in_one_line(good: tuple[Kind, Path]) -> None:
    kind, path = good
    content = path.read_bytes()

    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(edits=EDITS)
    def read(edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(edited(content, edits))
        assert "\n" not in refusal(kind, path)

    read()


def test_a_good_file_is_read_and_a_folder_in_its_place_is_named(good: tuple[Kind, Path]) -> None:
    kind, path = good
    kind.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(MlobsError, match=path.name) as caught:
        kind.read(path)
    assert "\n" not in str(caught.value)


def fails_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """What ``mlobs`` says before it ends with status 1."""
    monkeypatch.setattr(sys, "argv", ["mlobs", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("mlobs: error: ")
    assert said.count("\n") == 1
    return said


def test_line_breaks_in_names_make_no_lines(folder: Path, capsys, monkeypatch) -> None:
    said = fails_in_one_line(["client", f"{folder}/a\nb\x1b[2J.toml"], capsys, monkeypatch)
    assert r"a\nb\x1b[2J.toml: no such client file" in said


def test_a_file_that_cannot_be_used_is_one_line_wherever_it_was_named(capsys, monkeypatch) -> None:
    def replace() -> None:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), "all.extxyz")

    monkeypatch.setattr(cli, "group", replace)
    said = fails_in_one_line(["observe"], capsys, monkeypatch)
    assert said == "mlobs: error: all.extxyz: Is a directory\n"


def test_what_is_no_matter_of_files_is_not_hidden(monkeypatch) -> None:
    def reset() -> None:
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    monkeypatch.setattr(cli, "group", reset)
    with pytest.raises(ConnectionResetError):
        cli.main()
