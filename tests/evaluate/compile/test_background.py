"""One compilation at a time, by one of all clients, and none that outlives its client."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.store import ProgramSize, Request
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def request_for(committee) -> Request:
    members: list[AtomicNetwork] = committee("dielectric", 1)
    return Request(members, ProgramSize(2, 10, 80, 64), torch.get_num_threads())


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.stop()


def test_of_two_clients_one_compiles(background: Background, request_for: Request) -> None:
    other = Background()
    assert background.start(request_for, "the same")
    assert not other.start(request_for, "the same")
    assert not other.running
    assert not background.start(request_for, "another")  # one after the other


def test_a_client_that_ends_stops_its_worker_and_leaves_the_work_to_others(
    background: Background, request_for: Request
) -> None:
    assert background.start(request_for, "some")
    background.stop()
    assert not background.running
    assert background.failures == {}
    assert [path.suffix for path in store.home().iterdir()] == [".lock"]
    other = Background()
    assert other.start(request_for, "some")
    other.stop()


def test_a_worker_that_fails_says_why_and_is_not_started_again(
    background: Background, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(torch, "save", lambda request, path: path.write_bytes(b"damaged"))
    assert background.start(request_for, "some")
    assert background._process is not None
    background._process.wait()
    assert not background.start(request_for, "some")
    assert background.failures["some"]
    assert store.find("some") is None


def test_a_full_disk_leaves_the_work_to_others(
    background: Background, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(request: Request, path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(torch, "save", no_space)
        with pytest.raises(OSError, match="No space"):
            background.start(request_for, "some")
    other = Background()
    assert other.start(request_for, "some")
    other.stop()


CLIENT = """
import sys, time
from mlobs_client.evaluate.model_files import quiet_third_parties
with quiet_third_parties():
    import mace.modules, torch
from mlobs_client.evaluate.compile.background import Background
background = Background()
background.start(torch.load(sys.argv[1], weights_only=False), "some")
print(background._process.pid, flush=True)
time.sleep(100)
"""


def test_a_worker_ends_with_a_client_that_is_killed(request_for: Request, tmp_path: Path) -> None:
    with quiet_third_parties():
        torch.save(request_for, tmp_path / "request")
    command = [sys.executable, "-W", "ignore", "-c", CLIENT, str(tmp_path / "request")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        worker = int(client.stdout.readlines(1)[-1])
        client.kill()
    deadline = time.monotonic() + 60.0
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(worker)
    assert [path.suffix for path in store.home().iterdir()] == [".lock"]


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_full_disk_is_the_reason_not_the_line_that_follows_it(background: Background) -> None:
    background._key = "some"
    background._file("log").write_text("fatal error: No space left on device\nterminated.\n")
    assert "No space left on device; free space" in background._last_words(1)
