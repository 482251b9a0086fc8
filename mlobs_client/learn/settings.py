"""Settings that determine the members of a committee."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlobs_client.learn.charges import Origin
from mlobs_client.learn.data_set import Vary
from mlobs_client.learn.networks import KINDS
from mlobs_client.tables import Table


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
        also: sha256 and weight of further files of structures for training.
        test: sha256 of files of structures to hold out, instead of a fraction.
        origin: origin of dipoles of charged structures; None to refuse these.
        vary: how members differ beside their seeds, see
            :meth:`mlobs_client.learn.data_set.DataSet.split`.
        start: sha256 of the networks from which members start; empty for random weights.
        patience: number of validations without a smaller error after which a member ends.
        pair_repulsion: True to add the repulsion of nuclei to a potential.
        compile: whether the steps are compiled; None where it is worth the time, see
            :func:`mlobs_client.learn.compiled.compile_steps`.
        test_group: key of groups that are held out as a whole; empty for single structures.
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
    also: tuple[tuple[str, float], ...] = ()
    test: tuple[str, ...] = ()
    test_group: str = ""
    origin: Origin | None = None
    vary: Vary = "split"
    start: tuple[str, ...] = ()
    patience: int | None = None
    pair_repulsion: bool = False
    compile: bool | None = None

    @property
    def all_weights(self) -> dict[str, float]:
        """Weights of squared errors per atom; empty for kinds without such weights."""
        return {**KINDS[self.kind].weights, **self.weights}
