"""Train the members of a committee in a folder, each once, even after interruptions.

::

    FOLDER/settings.json          settings of all members; other settings need another folder
    FOLDER/dipole-0.model         a member: a model file of MACE, in double precision
    FOLDER/dipole-0.json          record of its training; a member is done when this file exists
    FOLDER/dipole-1.checkpoint    checkpoint of a member in training
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import Field

from mlobs_client.errors import ConfigError, LaunchError, ModelError
from mlobs_client.evaluate.model_files import digest, load, quiet_third_parties, trust
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.files import read_json, write_json
from mlobs_client.learn.batches import join, make_graph, mean_neighbours
from mlobs_client.learn.data_set import DataSet, prepare
from mlobs_client.learn.files import write_pickle
from mlobs_client.learn.fit import Fit, Recipe
from mlobs_client.learn.labels import Label, find_labels, read_labelled
from mlobs_client.learn.networks import KINDS, SIZES, Architecture, build, scale_outputs, to_float64
from mlobs_client.learn.objective import Objective
from mlobs_client.locks import hold
from mlobs_client.tables import Table

ATOMS_OF_A_STEP: Final = 200
"""Approximate number of atoms per step; smaller structures are joined."""

ReportMember = Callable[[int, int, float], None]
"""Function that is called with the member, the step and the last validation error."""


class TrainingSettings(Table):
    """All settings that determine the members of a committee.

    Attributes:
        kind: kind of the networks, a key of :data:`mlobs_client.learn.networks.KINDS`.
        data: sha256 of the file of structures.
        labels: key and factor to e, angstrom and eV, by the names of labels.
        transpose: True if Born charges have the coordinate as first index in the file.
        oxidation_numbers: oxidation numbers by species; None for those in the file.
        branches: "fold" to put dipoles on the branch of a first prediction, or "keep".
        size: name in ``SIZES``.
        cutoff: cutoff, angstrom.
        steps: number of steps of the optimizer.
        rate: highest learning rate.
        batch: number of structures per step; None for about 200 atoms.
        test_fraction: fraction of the structures that are held out from all members.
        seed: seed for held-out structures and for the first member; member K has seed + K.
        weights: those that differ from the default, see :class:`mlobs_client.learn.networks.Kind`.
        network: parts of the size that differ from ``SIZES``.
    """

    kind: str
    data: str
    labels: dict[str, tuple[str, float]]
    transpose: bool = False
    oxidation_numbers: dict[str, int] | None
    branches: Literal["fold", "keep"]
    size: str
    cutoff: float
    steps: int
    rate: float
    batch: int | None
    test_fraction: float
    seed: int
    weights: dict[str, float] = Field(default_factory=dict)
    network: dict[str, int | tuple[int, ...]] = Field(default_factory=dict)


def data_digest(path: Path | str) -> str:
    """Return the sha256 of a data set.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def read_data_set(settings: TrainingSettings, path: Path | str) -> DataSet:
    """Read and prepare the structures of a committee.

    Raises:
        ConfigError: see :func:`mlobs_client.learn.labels.read_labelled` and
            :func:`mlobs_client.learn.data_set.prepare`.
    """
    numbers = settings.oxidation_numbers
    wanted = {name: Label(*place, settings.transpose) for name, place in settings.labels.items()}
    optional = {name: wanted.pop(name) for name in KINDS[settings.kind].optional if name in wanted}
    labelled = read_labelled(
        path,
        wanted | {name: optional[name] for name in find_labels(Path(path), optional)},
        None if numbers is None else OxidationNumbers(numbers),
    )
    return prepare(
        settings.kind,
        labelled,
        cutoff=settings.cutoff,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        fold=settings.branches == "fold",
    )


def train_committee(
    settings: TrainingSettings,
    data_set: DataSet,
    folder: Path | str,
    n_members: int,
    report: ReportMember,
    device: str = "cpu",
) -> list[Path]:
    """Train the members that are not done yet.

    Args:
        settings: settings of the committee.
        data_set: data set made with these settings.
        folder: folder of the committee, made if needed.
        n_members: number of members.
        report: called with the progress.
        device: device for training.

    Returns:
        The model files.

    Raises:
        ConfigError: the folder has different settings, or another process trains in it.
        LaunchError: the folder cannot be made or written.
        ModelError: a file has changed since it was written or cannot be written, or training
            failed.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(f"{folder}: cannot be made: {error.strerror}") from error
    with hold(folder / "train.lock") as lock:
        if lock is None:
            raise ConfigError(f"{folder}: another process trains in it; wait, or use another")
        _agree(settings, folder / "settings.json")
        paths = [member_file(folder, settings.kind, member) for member in range(n_members)]
        for member, path in enumerate(paths):
            if not read_record(path):
                _train_member(settings, data_set, path, member, report, device)
            report(member, settings.steps, read_record(path)["error"])
    return paths


def member_file(folder: Path | str, kind: str, member: int) -> Path:
    """Return the model file of a member."""
    return Path(folder) / f"{kind}-{member}.model"


def read_record(path: Path | str) -> dict[str, Any]:
    """Return the record of the training of a member, which is empty until the member is done.

    Args:
        path: model file of the member.

    Raises:
        ModelError: the model file has changed since it was written.
    """
    path = Path(path)
    record = path.with_suffix(".json")
    if not record.exists():
        return {}
    content: dict[str, Any] = read_json(record)
    if digest(path) != content["sha256"]:
        raise ModelError(
            f"{path}: is not the file that training wrote; remove {record.name} to train this "
            "member again"
        )
    return content


def load_member(path: Path | str) -> torch.nn.Module:
    """Read the model file of a member.

    Raises:
        ModelError: the file is not the one that training wrote, or is not trusted, for example
            because another user trained it.
    """
    read_record(path)
    return load(path)


def _move(network: torch.nn.Module, device: str) -> torch.nn.Module:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(f"--device {device}: cannot be used here ({reason})") from error


def _agree(settings: TrainingSettings, path: Path) -> None:
    """Store the settings, or compare them with those that are stored."""
    wanted = settings.model_dump(mode="json")
    if not path.exists():
        write_json(path, wanted)
        return
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in TrainingSettings.model_fields.items()
        if not field.is_required()
    }
    stored = defaults | read_json(path)  # older files do not have all settings
    differing = [name for name in wanted if stored.get(name) != wanted[name]]
    if differing:
        values = "; ".join(f"{n} = {stored.get(n)!r}, not {wanted[n]!r}" for n in differing)
        raise ConfigError(
            f"{path.parent}: was started with {values}; give the same, or train in another folder"
        )


def _train_member(
    settings: TrainingSettings,
    data_set: DataSet,
    path: Path,
    member: int,
    report: ReportMember,
    device: str,
) -> None:
    seed = settings.seed + member
    fit, architecture = _make_fit(settings, data_set, path.with_suffix(".checkpoint"), seed, device)
    start = time.perf_counter()
    checks = fit.run(lambda step, error: report(member, step, error))
    network = fit.network.cpu()
    with quiet_third_parties():
        write_pickle(path, to_float64(network, architecture, data_set.free_atoms))
    record = {
        "seed": seed,
        "n_train": len(fit.train),
        "n_valid": len(fit.valid),
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "error": min(check.error for check in checks),
        "checks": [check._asdict() for check in checks],
        "seconds": round(time.perf_counter() - start, 1),
        "sha256": digest(path),
    }
    trust(path)  # before the member counts as done, so that a kill leaves none without trust
    write_json(path.with_suffix(".json"), record)
    with contextlib.suppress(OSError):  # the member is done without that
        fit.checkpoint.unlink()


def _make_fit(
    settings: TrainingSettings, data_set: DataSet, checkpoint: Path, seed: int, device: str
) -> tuple[Fit, Architecture]:
    """Return the training of a member from its start, and the architecture of its network."""
    train, valid = (
        [
            make_graph(data_set.labelled[s], data_set.targets[s], data_set.species, settings.cutoff)
            for s in places
        ]
        for places in data_set.split(seed)
    )
    weights = {**KINDS[settings.kind].weights, **settings.weights}
    architecture = Architecture(
        settings.kind,
        SIZES[settings.size]._replace(**settings.network),  # type: ignore[arg-type]
        data_set.species,
        settings.cutoff,
        mean_neighbours(train),
        data_set.scales["energy"] if weights else 1.0,
    )
    torch.manual_seed(seed)
    network = _move(build(architecture, torch.float32), device)
    quanta = {one.index: q for one, q in zip(data_set.labelled, data_set.quanta, strict=True)}
    objective = Objective(settings.kind, data_set.scales, quanta, weights)
    # initial outputs have the size of the targets
    squares = [objective.error(network, join([graph], device)) for graph in valid]
    scale_outputs(network, 1.0 / max(1.0, float(np.sqrt(np.mean(squares)))))
    n_atoms = sum(graph.num_nodes for graph in train) / len(train)
    batch = settings.batch or max(1, round(ATOMS_OF_A_STEP / n_atoms))
    recipe = Recipe(settings.steps, settings.rate, batch)
    return Fit(network, objective, train, valid, recipe, seed, checkpoint, device), architecture
