"""Committees of analytic models: every number can be had in a second way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from ipi.engine.forcefields import FFCommittee

from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.committee import Committee, CommitteeEvaluation
from mlobs_client.evaluate.derivatives import Recorded
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.structure import Structure
from mlobs_client.testing.conformance import check_evaluator

EVERYTHING = frozenset({"energy", "committee_energies", "energy_spread", "dipole"})


@dataclass
class PairEnergy:
    """A sum over pairs with one parameter."""

    strength: float
    cutoff: float = 6.0
    species: tuple[int, ...] = (1, 8)
    device: str = "cpu"
    n_members: int = 1

    def pairs(self, graph: Graph) -> torch.Tensor:
        squares = graph.vectors.square().sum(1)
        return torch.sin(self.strength * (1 + graph.vectors[:, 1])) * (1 - squares / 36.0) ** 4

    def __call__(self, graph: Graph) -> Recorded:
        graph.vectors.requires_grad_(torch.is_grad_enabled())
        total = graph.positions.new_zeros(graph.n_structures)
        energy = total.index_add(0, graph.structure_of[graph.edges[0]], self.pairs(graph))
        return Recorded(energy.unsqueeze(1), graph)


class PairDipole(PairEnergy):
    def __call__(self, graph: Graph) -> Recorded:
        graph.vectors.requires_grad_(torch.is_grad_enabled())
        total = graph.positions.new_zeros(graph.n_structures, 3)
        dipoles = self.pairs(graph)[:, None] * graph.vectors
        dipole = total.index_add(0, graph.structure_of[graph.edges[0]], dipoles)
        return Recorded(dipole.unsqueeze(1), graph)


POTENTIALS = (PairEnergy(0.3), PairEnergy(0.5), PairEnergy(0.9))
COMMITTEES = {
    "energy": Committee(POTENTIALS, {"energy": 1.7}),
    "dipole": Committee((PairDipole(0.4), PairDipole(0.7)), {"dipole": 2.5}),
}


def evaluate(
    structures: list[Structure], wanted: frozenset[str] = EVERYTHING, committees=COMMITTEES
) -> CommitteeEvaluation:
    graph = GraphBuilder(6.0)(structures)
    return CommitteeEvaluation(graph, committees, wanted)


@pytest.fixture
def structures(water) -> list[Structure]:
    return [water(2, seed=1), water(1, seed=2, length=4.5)]


def test_mean_members_and_spread_are_those_of_the_separate_models(structures) -> None:
    alone = np.array(
        [
            [value["energy"] for value in evaluate(structures, frozenset({"energy"}), one).values]
            for one in ({"energy": Committee((model,))} for model in POTENTIALS)
        ]
    )
    for s, values in enumerate(evaluate(structures).values):
        mean = np.mean(alone[:, s])
        spread_out = mean + 1.7 * (alone[:, s] - mean)
        np.testing.assert_allclose(values["committee_energies"], spread_out, rtol=1e-13)
        np.testing.assert_allclose(values["energy"], mean, rtol=1e-14)
        expected = 1.7 * np.std(alone[:, s], ddof=1)
        np.testing.assert_allclose(values["energy_spread"], expected, rtol=1e-12)


def test_a_single_model_has_no_spread() -> None:
    assert "energy_spread" not in Committee(POTENTIALS[:1]).provides("energy")
    assert "energy_spread" in Committee(POTENTIALS).provides("energy")


def test_a_common_part_is_added_to_every_member(structures) -> None:
    def common(graph: Graph) -> Recorded:
        return Recorded(torch.arange(graph.n_structures, dtype=torch.float64) + 5.0, graph)

    with_common = {"energy": Committee(POTENTIALS, {"energy": 1.7}, common)}
    names = frozenset({"committee_energies"})
    pairs = zip(
        evaluate(structures, names, with_common).values,
        evaluate(structures, names).values,
        strict=True,
    )
    for s, (shifted, plain) in enumerate(pairs):
        difference = shifted["committee_energies"] - plain["committee_energies"]
        np.testing.assert_allclose(difference, 5.0 + s, rtol=1e-13)


def test_forces_and_virials_of_members_are_those_of_the_separate_models(structures) -> None:
    wanted = frozenset({"committee_forces", "committee_virials"})
    together = evaluate(structures, wanted, {"energy": Committee(POTENTIALS)}).values
    for m, model in enumerate(POTENTIALS):
        alone = evaluate(structures, frozenset({"energy"}), {"energy": Committee((model,))})
        gradients = alone.pull_back([{"energy": np.ones(())}] * 2)
        for values, gradient in zip(together, gradients, strict=True):
            np.testing.assert_allclose(values["committee_forces"][m], -gradient.positions)
            np.testing.assert_allclose(values["committee_virials"][m], -gradient.strain)


class FromCommittee:
    """An evaluator of the committees above."""

    provides = frozenset().union(*(c.provides(name) for name, c in COMMITTEES.items()))

    def __call__(
        self, structures: list[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> CommitteeEvaluation:
        return evaluate(list(structures), wanted)


def test_every_derivative_of_calibrated_members_agrees_with_finite_differences(structures) -> None:
    # of fourth order in a step of 0.003 bohr: the truncation is below 1e-7 of the derivatives
    report = check_evaluator(FromCommittee(), structures[0], step=0.003, n_sampled=2)
    assert report.passed, str(report)
    assert {"committee_forces", "committee_virials"} <= {row.what for row in report.rows}
    assert "d(committee_dipoles)/d(strain)" in {row.what for row in report.rows}


def test_forces_of_members_are_sent_as_the_ffcommittee_of_i_pi_writes_them(structures) -> None:
    """Its own code makes the same numbers of the members without alpha."""
    names = frozenset({"committee_energies", "committee_forces", "committee_virials"})
    sent = evaluate(structures, names).values[0]
    plain = evaluate(structures, names, {"energy": Committee(POTENTIALS)}).values[0]
    results = [
        [energy, forces.ravel(), virial, {}]
        for energy, forces, virial in zip(*(plain[name] for name in sorted(names)), strict=True)
    ]
    members = [{"status": "Done", "result": result} for result in results]
    request = {"pos": np.zeros(structures[0].positions.size), "ff_handles": members}
    FFCommittee(fflist=[Mock() for _ in members], alpha=1.7).gather(request)
    extras = request["result"][3]
    for name, key in (("forces", "force"), ("virials", "virial")):
        of_ipi = np.reshape(extras[f"committee_{key}"], sent[f"committee_{name}"].shape)
        np.testing.assert_allclose(sent[f"committee_{name}"], of_ipi, atol=1e-13)


def test_members_of_a_dipole_have_its_alpha_and_keep_its_mean(structures) -> None:
    names = frozenset({"dipole", "committee_dipoles"})
    (sent, _), (plain, _) = (
        evaluate(structures, names, {"dipole": Committee(models.models, alphas)}).values
        for models, alphas in ((COMMITTEES["dipole"], {"dipole": 2.5}), (COMMITTEES["dipole"], {}))
    )
    np.testing.assert_array_equal(sent["dipole"], plain["dipole"])
    np.testing.assert_allclose(sent["committee_dipoles"].mean(axis=0), plain["dipole"], atol=1e-14)
    first, second = plain["committee_dipoles"]
    apart = sent["committee_dipoles"][0] - sent["committee_dipoles"][1]
    np.testing.assert_allclose(apart, 2.5 * (first - second), rtol=1e-12)


@pytest.mark.parametrize(
    "extra", [frozenset(), frozenset({"committee_forces", "born_charges"})], ids=["alone", "reused"]
)
def test_one_pull_back_adds_all_cotangents(extra, structures) -> None:
    rng = np.random.default_rng(0)
    cotangents = [
        {
            "energy": np.array(1.0),
            "dipole": rng.normal(size=3),
            "energy_spread": np.array(0.5),
            "committee_energies": rng.normal(size=3),
        }
        for _ in structures
    ]
    evaluation = evaluate(structures, EVERYTHING | extra)
    together = evaluation.pull_back(cotangents)
    for s in range(2):
        pieces = [
            evaluate(structures).pull_back([{name: c[name]} for c in cotangents])[s]
            for name in cotangents[0]
        ]
        positions = sum(piece.positions for piece in pieces)
        strain = sum(piece.strain for piece in pieces)
        np.testing.assert_allclose(together[s].positions, positions, atol=1e-13)
        np.testing.assert_allclose(together[s].strain, strain, atol=1e-13)


def test_the_spread_can_bias_the_dynamics(structures) -> None:
    structure, step = structures[0], 1e-5
    direction = np.random.default_rng(0).normal(size=structure.positions.shape)
    (gradient,) = evaluate([structure]).pull_back([{"energy_spread": np.ones(())}])
    moved = [
        replace(structure, positions=structure.positions + sign * step * direction)
        for sign in (1, -1)
    ]
    plus, minus = (values["energy_spread"] for values in evaluate(moved).values)
    slope = (plus - minus) / (2 * step)
    # error of the difference: step**2, rounding: 1e-15/step
    np.testing.assert_allclose(np.sum(gradient.positions * direction), slope, rtol=1e-7)


def test_born_charges_have_the_dipole_first_and_the_displacement_last(structures) -> None:
    structure, step = structures[0], 1e-5
    (values,) = evaluate([structure], frozenset({"born_charges"})).values
    positions = structure.positions.copy()
    positions[4, 1] += step
    moved = replace(structure, positions=positions)
    before, after = (value["dipole"] for value in evaluate([structure, moved]).values)
    np.testing.assert_allclose(values["born_charges"][4, :, 1], (after - before) / step, atol=1e-4)


def test_a_structure_without_a_cotangent_gets_no_force(structures) -> None:
    first, second = evaluate(structures).pull_back([{}, {"energy": np.ones(())}])
    assert not first.positions.any()
    assert second.positions.any()


def test_pulling_back_twice_gives_the_same(structures) -> None:
    evaluation = evaluate(structures)
    first, second = (evaluation.pull_back([{"energy": np.ones(())}] * 2) for _ in range(2))
    np.testing.assert_array_equal(first[0].positions, second[0].positions)


def test_what_has_no_derivative_is_refused(structures) -> None:
    evaluation = evaluate(structures, frozenset({"born_charges", "energy"}))
    with pytest.raises(MissingObservable, match="born_charges has no derivative"):
        evaluation.pull_back([{"born_charges": np.ones((6, 3, 3))}, {}])


def test_no_cotangent_at_all_gives_no_force(structures) -> None:
    for gradient in evaluate(structures).pull_back([{}, {}]):
        assert not gradient.positions.any()
        assert not gradient.strain.any()


def test_without_recording_there_are_values_but_no_derivatives(structures) -> None:
    with torch.no_grad():
        evaluation = evaluate(structures)
    for values, recorded in zip(evaluation.values, evaluate(structures).values, strict=True):
        np.testing.assert_array_equal(values["energy"], recorded["energy"])
    with pytest.raises(MissingObservable, match="derivatives=False"):
        evaluation.pull_back([{"energy": np.ones(())}] * 2)
