"""``make bench``: what fields, Born charges, extras and records cost, and how costs grow.

Everything is evaluated by clients without i-PI, compiled, on one thread, each in a process of its
own; times are medians over structures that move a little from one to the next. A machine that is
shared changes its speed within minutes, so what is compared is measured in turn, and ratios are
medians over rounds. Only the comparison with Born charges as extras goes through i-PI.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import ase.io
import numpy as np
import torch
from ase import Atoms
from bench import MODELS, NVE, TIMESTEP, Case, step_time, water_box
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from report import RESULTS, Figure, run

from mlobs_client.evaluate.model_files import quiet_third_parties, trust
from mlobs_client.plot import draw, save_figure
from mlobs_client.record.writer import RecordWriter
from mlobs_client.results import Estimate, Points, Result
from mlobs_client.structure import Array
from mlobs_client.wire import extras

POTENTIAL = MODELS[0]
DIPOLE = MODELS[0].with_name("dipole-0.model")
NUMBERS = "oxidation_numbers = { O = -2, H = 1 }\n"
DRIVEN = f"""<motion mode='driven_dynamics'><driven_dynamics mode='eda-nve'>{TIMESTEP}
  <efield><amp units='v/ang'>[0, 0, 0.1]</amp><freq>0</freq><phase>0</phase><peak>0</peak></efield>
  <bec mode='driver'/><asr_threshold>1e-6</asr_threshold>
</driven_dynamics></motion>"""
FIELD = '[field]\nvector = [0.0, 0.0, 0.1]\nunit = "V/angstrom"\n'
RATIO = "1"

# One client without i-PI, evaluated as often as argv says for each line that it is sent; prints
# seconds of a step, and bytes.
CLIENT = """
import json, resource, statistics, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from mlobs_client.client.build import assemble
from mlobs_client.client.config import load_config
from mlobs_client.client.total_energy import predict
beads, n_times, names = json.loads(sys.argv[1])
assembly = assemble(load_config(Path("client.toml")), Path())
random = np.random.default_rng(0)
start = assembly.structure
shape = start.positions.shape
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in sys.stdin:
    times = []
    for _ in range(n_times + 3):
        structures = [
            replace(start, positions=start.positions + 0.01 * random.normal(size=shape))
            for _ in range(beads)
        ]
        begun = time.perf_counter()
        predict(structures, assembly.evaluators, assembly.terms, frozenset(names))
        times.append(time.perf_counter() - begun)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([statistics.median(times[3:]), 1024 * (after - before)]), flush=True)
"""
ROUNDS = 15


def table(name: str, *models: Path, more: str = "") -> str:
    """A table of a client file."""
    names = ", ".join(f'"{model}"' for model in models)
    return f'[{name}]\nkind = "mace"\nmodels = [{names}]\n{more}'


@contextlib.contextmanager
def client(
    tables: str, atoms: Atoms, beads: int = 1, wanted: Sequence[str] = (), batch: int | None = None
) -> Iterator[Callable[[], Array]]:
    """Yield what measures seconds of one evaluation of all beads, and bytes that it takes.

    Args:
        tables: of the client file.
        atoms: one bead.
        beads: how many.
        wanted: observables beside energy and forces.
        batch: structures that are evaluated together, if not what the client thinks best.
    """
    head = "" if batch is None else f"batch = {batch}\n"
    n_times = max(5, min(40, 20_000 // (len(atoms) * beads)))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        ase.io.write("init.xyz", atoms, format="extxyz")
        Path("client.toml").write_text(f'structure = "init.xyz"\n{head}{tables}')
        compiler = [sys.executable, "-m", "mlobs_client", "compile", "client.toml"]
        subprocess.run([*compiler, "-b", str(beads)], check=True, capture_output=True)
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, json.dumps([beads, n_times, list(wanted)])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        def measure() -> Array:
            print(file=process.stdin, flush=True)
            return np.array(json.loads(process.stdout.readline()))

        with process, process.stdin:
            yield measure


def cost(
    tables: str, atoms: Atoms, beads: int = 1, wanted: Sequence[str] = (), batch: int | None = None
) -> Array:
    """Seconds and bytes; see :func:`client`."""
    with client(tables, atoms, beads, wanted, batch) as measure:
        return measure()


def in_turn(*clients: contextlib.AbstractContextManager[Callable[[], Array]]) -> Array:
    """Seconds of each client in each round, shape ``(n_clients, ROUNDS)``."""
    with contextlib.ExitStack() as stack:
        measures = [stack.enter_context(one) for one in clients]
        return np.array([[measure()[0] for measure in measures] for _ in range(ROUNDS)]).T


def at_most(name: str, value: float, limit: float, unit: str, words: str) -> Figure:
    """A figure with an upper limit."""
    return Figure(name, value, None, unit, f"at most {limit:.3g}; {words}", bool(value <= limit))


def ratio_at_most(name: str, one: Array, other: Array, limit: float, words: str) -> Figure:
    """As :func:`at_most`, of times that were measured in turn."""
    ratios = one / other
    value, error = float(np.median(ratios)), float(ratios.std(ddof=1) / np.sqrt(len(ratios)))
    passed = bool(value <= limit)
    return Figure(name, value, error, RATIO, f"at most {limit:.3g}; {words}", passed)


def fields() -> list[Figure]:
    """What a field costs at 192 atoms."""
    atoms = water_box(64)
    dipole = table("dipole", DIPOLE, more=NUMBERS)
    energy, component, fused, charges = in_turn(
        client(table("potential", POTENTIAL), atoms),
        client(dipole + FIELD, atoms),
        client(table("potential", POTENTIAL) + dipole + FIELD, atoms),
        client(dipole + FIELD, atoms, wanted=["born_charges"]),
    )
    words = f"potential {_ms(energy)}, dipole {_ms(component)}"
    return [
        ratio_at_most("field / (potential + dipole, each alone)", fused, energy + component, 1.05,
                      words),
        ratio_at_most("Born charges / gradient of one component", charges, component, 1.8,
                      _ms(component)),
    ]  # fmt: skip


def _ms(seconds: Array) -> str:
    return f"{1e3 * np.median(seconds):.1f} ms"


def ways_of_ipi() -> list[Figure]:
    """A field as a term of the client, and by driven_dynamics, which wants Born charges for it."""
    case = Case(64, 1, 1)
    dipole = table("dipole", DIPOLE, more=NUMBERS)
    charges = dipole + '[observables]\nextras = ["dipole", "born_charges"]\n'
    seconds = []
    for tables, motion in ((dipole + FIELD, NVE), (charges, DRIVEN)):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            seconds.append(step_time(case, "mlobs", tables, motion))
    term, driven = seconds
    words = f"{1e3 * driven:.1f} ms with our own Born charges"
    name = "step with a field / by driven_dynamics with Born charges as extras"
    return [at_most(name, term / driven, 1 / 1.5, RATIO, words)]


def joint_networks() -> list[Figure]:
    """Energy and dipole from one network, beside an energy from one of the same size."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": folder}),  # trusted for these clients only
    ):
        both, alone = (Path(folder) / name for name in ("both.model", "alone.model"))
        for path, network in zip((both, alone), _untrained(), strict=True):
            with quiet_third_parties():
                torch.save(network, path)
            trust(path)
        atoms = water_box(64)
        dipole = table("dipole", both, more=NUMBERS)
        energy, same, field = in_turn(
            client(table("potential", alone), atoms),
            client(table("potential", both), atoms),
            client(table("potential", both) + dipole + FIELD, atoms),
        )
    words = f"{_ms(energy)}; untrained networks of 16x0e + 16x1o"
    name = "field with one network for energy and dipole / "
    return [
        ratio_at_most(f"{name}potential alone", field, energy, 1.1, words),
        ratio_at_most(f"{name}energy of this network", field, same, 1.1, _ms(same)),
    ]


def _untrained() -> tuple[torch.nn.Module, torch.nn.Module]:
    """One network for energy and dipole, one for energy, otherwise the same."""
    with quiet_third_parties():
        from mace import modules
        from mace.modules.models import o3

    torch.set_default_dtype(torch.float64)
    interaction = modules.interaction_classes["RealAgnosticInteractionBlock"]
    size = {
        "r_max": 4.0, "num_bessel": 8, "num_polynomial_cutoff": 5, "max_ell": 2,
        "interaction_cls": interaction, "interaction_cls_first": interaction,
        "num_interactions": 2, "num_elements": 2, "hidden_irreps": o3.Irreps("16x0e+16x1o"),
        "avg_num_neighbors": 25.0, "atomic_numbers": [1, 8], "correlation": 2,
        "radial_MLP": [32, 32], "gate": torch.nn.functional.silu,
        "atomic_energies": np.array([-13.6, -450.0]),
    }  # fmt: skip
    with quiet_third_parties():
        warnings.filterwarnings("ignore", "The TorchScript type system")  # of e3nn, at building
        both = modules.EnergyDipolesMACE(**size, MLP_irreps=o3.Irreps("16x0e+16x1o"))
        energy = modules.ScaleShiftMACE(
            **size, MLP_irreps=o3.Irreps("16x0e"), atomic_inter_scale=1.0, atomic_inter_shift=0.0
        )
    return both, energy


def batches() -> list[Figure]:
    """The size of batches that a client chooses, beside all at once and one by one."""
    figures = []
    for molecules, beads in ((1, 8), (1, 32), (8, 8), (8, 32), (64, 8), (64, 32)):
        box, tables = water_box(molecules), table("potential", POTENTIAL)
        ours, single, whole = (
            1e3 * cost(tables, box, beads, batch=batch)[0] for batch in (None, 1, beads)
        )
        name = f"{beads} beads of {len(box)} atoms / the best of one by one and all at once"
        words = f"{ours:.3g} ms; one by one {single:.3g}, all at once {whole:.3g} ms"
        figures.append(at_most(name, ours / min(single, whole), 1.05, RATIO, words))
    return figures


def observables() -> list[Figure]:
    """What extras and records cost beside the evaluation."""
    random = np.random.default_rng(0)
    small = {"dipole": (3,), "polarizability": (3, 3), "committee_energies": (4,)}
    beads = [{name: random.normal(size=shape) for name, shape in small.items()} for _ in range(32)]
    large = [{"born_charges": random.normal(size=(1000, 3, 3))} for _ in range(32)]
    with tempfile.TemporaryDirectory() as folder:
        shapes = {name: np.shape(value) for name, value in large[0].items()}
        with RecordWriter(Path(folder) / "record.h5", shapes, {}) as record:
            recorded = _median(lambda: record.append(large))
    encoded = _median(lambda: [extras.encode(bead) for bead in beads])
    json_time = _median(lambda: [extras.encode(bead) for bead in large])
    words = f"as JSON for the extras {1e3 * json_time:.0f} ms, before i-PI reads it"
    return [
        at_most("extras: dipole, polarizability, 4 energies of 32 beads", 1e3 * encoded, 1.0,
                "ms/step", "of any number of atoms"),
        at_most("record: Born charges of 32 beads of 1000 atoms", 1e3 * recorded, 10.0,
                "ms/step", words),
    ]  # fmt: skip


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


@dataclass(frozen=True)
class Growth:
    """Costs against size; arrays of one length."""

    sizes: Array
    seconds: Array
    bytes: Array


def growth() -> list[Figure]:
    """Time and memory from 192 to 6144 atoms, as atoms, as beads, and with more members."""
    box, one = water_box(64), table("potential", POTENTIAL)
    repeats = [(1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (4, 2, 2), (4, 4, 2)]
    sizes = np.array([192 * np.prod(repeat) for repeat in repeats])
    atoms = np.array([cost(one, box.repeat(repeat)) for repeat in repeats])
    beads = np.array([cost(one, box, n) for n in (sizes // 192).tolist()])
    members = np.arange(1, len(MODELS) + 1)
    committees = np.array([cost(table("potential", *MODELS[:n]), box) for n in members])
    curves = {
        "atoms in one structure": Growth(sizes, *atoms.T),
        "beads of 192 atoms": Growth(sizes, *beads.T),
        "members, times 192 atoms": Growth(192 * members, *committees.T),
    }
    _write(curves, RESULTS / "growth")
    figures = []
    for label, curve in curves.items():
        for what, values in (("time", curve.seconds), ("memory", curve.bytes)):
            slope = float(np.polyfit(np.log(curve.sizes), np.log(values), 1)[0])
            words = f"d ln({what}) / d ln(size), {curve.sizes[0]} to {curve.sizes[-1]}"
            figures.append(at_most(f"growth of {what} with {label}", slope, 1.1, RATIO, words))
    return figures


def _result(curves: Mapping[str, Growth]) -> Result:
    """Time and memory against size, and what would grow in proportion to it."""
    points = []
    for quantity, unit, of in (
        ("time of a step", "ms", lambda curve: 1e3 * curve.seconds),
        ("memory", "MiB", lambda curve: curve.bytes / 2**20),
    ):
        axis = (quantity, "atoms × beads × members", "1")
        sizes, first = next((one.sizes, of(one)[0]) for one in curves.values())
        ends = sizes[[0, -1]].astype(float)
        exact = tuple(Estimate(first * x / ends[0], 0.0, unit, 1.0) for x in ends.tolist())
        for label, curve in curves.items():
            y = tuple(Estimate(one, np.nan, unit, 1.0, "median") for one in of(curve).tolist())
            points.append(Points(*axis, curve.sizes.astype(float), y, label))
        points.append(Points(*axis, ends, exact, "linear", is_line=True))
    return Result("growth of costs", points=tuple(points))


def _write(curves: Mapping[str, Growth], stem: Path) -> None:
    """The numbers, and a figure with two logarithmic axes."""
    result = _result(curves)
    figure = draw(result, logarithmic=True)
    for axes in figure.axes:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
    sizes = next(iter(curves.values())).sizes
    figure.axes[-1].set_xticks(sizes, [str(size) for size in sizes])
    save_figure(figure, stem)
    result.write(stem)


STUDIES = (observables, fields, joint_networks, ways_of_ipi, batches, growth)


if __name__ == "__main__":
    sys.exit(run("costs", {study.__name__: study for study in STUDIES}))
