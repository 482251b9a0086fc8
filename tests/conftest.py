"""A finished run of the real i-PI that several tests read; a store for compiled networks."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import settings
from ipi_runs import WATER, ffdirect, make_input, run_ipi

from mlobs_client.check import ipi_parser

# on a machine with other work, an example takes as long as it takes
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")

CLIENT = """
structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "qtip4pf"
[observables]
extras = ["dipole"]
"""
OUTPUT = """<output prefix='simulation'>
    <properties filename='out' stride='2'>[step, time, conserved, temperature]</properties>
    <trajectory filename='pos' stride='2'>positions{angstrom}</trajectory>
    <trajectory filename='vel' stride='2'>v_centroid</trajectory>
    <trajectory filename='dipole' stride='2' extra_type='dipole'>extras</trajectory>
  </output>"""
INPUT = make_input(OUTPUT, ffdirect(batch_size=2), steps=400, timestep=0.5)


BEGIN_WITH = ("test_inputs", "test_docs", "test_demo_results")
"""Files that take long: at the end, one process would be at work and the others done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in BEGIN_WITH)


@pytest.fixture(scope="session", autouse=True)
def store_of_compiled_networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing that the user has compiled or trusts is used, and nothing is left behind.

    It is one for all processes of pytest-xdist, as it would be for all clients of a user.
    """
    folder = tmp_path_factory.getbasetemp()
    cache = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cache"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MPLCONFIGDIR", mpl.get_configdir())  # its fonts take long to find
        environment.setenv("XDG_CACHE_HOME", str(cache))
        environment.setenv("XDG_CONFIG_HOME", str(cache.with_name("config")))
        # less optimization of what surrounds the kernels, and no search for vector instructions
        environment.setenv("AOT_INDUCTOR_COMPILE_WRAPPER_OPT_LEVEL", "O0")
        environment.setenv("TORCHINDUCTOR_VEC_ISA_OK", "1")
        yield cache


@pytest.fixture(autouse=True)
def logging_as_python_starts_it() -> None:
    """Warnings only: commands that other tests call in this process want to hear more."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory, store_of_compiled_networks: Path
) -> Path:
    """Folder of 400 steps (200 fs) of one q-TIP4P/F molecule with two beads; read only.

    It is one for all processes of pytest-xdist: the first one runs it, the others wait.
    """
    folder = store_of_compiled_networks.with_name("finished")
    with folder.with_name("finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            running = tmp_path_factory.mktemp("running")
            for name, content in (
                ("client.toml", CLIENT),
                ("init.xyz", WATER),
                ("input.xml", INPUT),
            ):
                (running / name).write_text(content)
            run_ipi(running)
            running.rename(folder)
    return folder


@pytest.fixture(scope="session")
def reader() -> Iterator[Executor]:
    """Another process, in which i-PI reads one input after the other."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        yield process


@pytest.fixture
def checks_in_one_process(reader: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves the second in which each process of i-PI's parser starts."""

    alone = ipi_parser._ask

    def ask(path: Path, folder: Path) -> object:
        try:
            reader.submit(os.chdir, folder.resolve()).result()
            return reader.submit(ipi_parser._answer, path.name).result()
        except BrokenProcessPool:  # something has killed the process: as without this fixture
            return alone(path, folder)

    monkeypatch.setattr(ipi_parser, "_ask", ask)
