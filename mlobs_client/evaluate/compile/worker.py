"""Compile and time networks: ``python -m mlobs_client.evaluate.compile.worker REQUEST KEY PID``.

It is a separate process, since compilation keeps Python and a C++ compiler busy for a minute,
during which the client evaluates the networks as they are.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import lock, remove_files
from mlobs_client.evaluate.compile.geometry import Geometry
from mlobs_client.evaluate.compile.programs import Program, differing
from mlobs_client.evaluate.compile.trace import trace
from mlobs_client.evaluate.memory import disable_malloc_trim
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork

with quiet_third_parties():
    from mace.tools.torch_tools import default_dtype

STACKED_UP_TO: Final = 4000
"""Number of edges above which the work of one member fills the caches, and stacking is slower."""

REPEATS: Final = 9


def compile_and_keep(request: store.Request, key: str) -> None:
    """Compile all members in a loop, and stacked if that may be faster; keep the faster program."""
    torch.set_num_threads(request.threads)
    disable_malloc_trim()  # as in a client, for which the programs are timed
    names = differing(request.networks)
    geometry = _example(request)
    ways = [False]
    if len(request.networks) > 1 and request.size.n_edges <= STACKED_UP_TO:
        ways.append(True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = scratch
        found: dict[bool, tuple[float, list[Path]]] = {}
        for stacked in ways:
            folder = Path(scratch) / f"programs-{stacked}"
            folder.mkdir()
            n_edges = request.size.n_edges
            paths = _compile(request.networks, names, geometry, n_edges, stacked, folder)
            program = Program.load(folder, request.networks, names, stacked)
            found[stacked] = (_time(partial(program.measure, geometry)), paths)
        best = min(found, key=lambda stacked: found[stacked][0])
        words = {False: "one after another", True: "stacked"}
        seconds = {words[stacked]: time for stacked, (time, _) in found.items()}
        store.keep(key, found[best][1], best, seconds)


def _example(request: store.Request) -> Geometry:
    """Return structures of the right size; the time does not depend on their values."""
    size = request.size
    random = torch.Generator().manual_seed(0)
    network = request.networks[0]
    weights = next(network.network.parameters())
    n_species = len(network.network.atomic_numbers)  # type: ignore[arg-type]
    species = torch.randint(n_species, (size.n_atoms,), generator=random)
    geometry = Geometry(
        positions=torch.randn((size.n_atoms, 3), generator=random, dtype=torch.float64),
        cells=torch.eye(3, dtype=torch.float64).repeat(size.n_structures, 1, 1),
        attributes=torch.nn.functional.one_hot(species, n_species).to(weights.dtype),
        structure_of=torch.arange(size.n_atoms) * size.n_structures // size.n_atoms,
        pairs=torch.randint(size.n_atoms, (2, size.n_pairs), generator=random),
        images=torch.ones((size.n_pairs, 3), dtype=torch.float64),
    )
    return Geometry(*(tensor.to(weights.device) for tensor in geometry))


def _compile(
    networks: Sequence[AtomicNetwork],
    names: Sequence[str],
    geometry: Geometry,
    n_edges: int,
    stacked: bool,
    folder: Path,
) -> list[Path]:
    from torch._inductor import aot_compile, cpp_builder
    from torch._inductor.package.package import package_aoti

    _share_headers()
    cpp_builder.get_cpp_compiler()  # where there is none, this fails before the long tracing
    states = [network.state_dict() for network in networks]
    tensors: Mapping[str, torch.Tensor] = {name: states[0][name] for name in names}
    if stacked:
        tensors = {name: torch.stack([state[name] for state in states]) for name in names}
    forward, backward = trace(networks[0], tensors, geometry, n_edges, stacked)
    arguments: list[Any] = [*geometry, *tensors.values()]
    paths = []
    # whole numbers times numbers of Python, as in ZBL, become what is torch's default
    with torch.no_grad(), default_dtype(next(networks[0].parameters()).dtype):
        sums, _, *saved = forward(*arguments)
        for name, graph, given in (
            ("forward", forward, arguments),
            ("backward", backward, [*saved, sums]),
        ):
            files: Any = aot_compile(graph, tuple(given), options={"aot_inductor.package": True})
            path = folder / f"{name}.pt2"
            package_aoti(str(path), files)
            paths.append(path)
    return paths


def _share_headers() -> None:
    """Store precompiled headers with the programs, which saves each worker ten seconds.

    torch stores them in the folder for temporary files, which differs for each worker, and needs
    ``openssl`` to distinguish them.
    """
    from torch._inductor import codecache, config

    config.aot_inductor.precompile_headers = shutil.which("openssl") is not None
    codecache._HEADER_DIR = str(store.home() / "headers")
    codecache._HEADER_LOCK_DIR = str(store.home() / "headers" / "locks")


def _time(run: Callable[[], object]) -> float:
    run()
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def _end_with(client: int, key: str) -> None:
    """End this process and its compilers when the client has ended or was killed."""
    while os.getppid() == client:
        time.sleep(1.0)
    try:
        # somebody else may be compiling the same by now, in files of the same names
        with lock(key) as held:
            if held is not None:
                remove_files(key)
    finally:  # also on a disk that is full
        os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Compile for a client; after a failure, the last line of the log gives the reason.

    The process has normal priority: with a lower one, it takes ten times as long on a busy machine.
    """
    request_file, key, client = sys.argv[1:]
    threading.Thread(target=_end_with, args=(int(client), key), daemon=True).start()
    with quiet_third_parties():
        request = torch.load(request_file, weights_only=False)
    compile_and_keep(request, key)


if __name__ == "__main__":
    main()
