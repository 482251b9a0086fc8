"""One compilation at a time, by one of all clients, and none that outlives its client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mlobs_client.evaluate.atomic import AtomicNetwork
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.store import Request, Size


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def request_for(committee) -> Request:
    members: list[AtomicNetwork] = committee("dielectric", 1)
    return Request(members, Size(10, 64), torch.get_num_threads())


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


def test_a_worker_that_fails_says_why(
    background: Background, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(torch, "save", lambda request, path: path.write_bytes(b"damaged"))
    assert background.start(request_for, "some")
    while background.running:
        time.sleep(0.1)
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
