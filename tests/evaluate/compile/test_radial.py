"""Tables in place of what networks make of the length of an edge."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mace.modules import interaction_classes
from uncompiled import reference, sums, traced_program

from mlobs_client.evaluate.compile import networks as compiled
from mlobs_client.evaluate.compile import radial
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompilationState, CompiledNetworks
from mlobs_client.evaluate.compile.radial import RadialTable, tabulated
from mlobs_client.evaluate.compile.store import ProgramSize
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.plain import PlainNetworks

DENSITY = {
    "interaction_cls": interaction_classes["RealAgnosticDensityResidualInteractionBlock"],
    "interaction_cls_first": interaction_classes["RealAgnosticDensityInteractionBlock"],
}

ATTENTION = {
    "interaction_cls": interaction_classes["RealAgnosticAttResidualInteractionBlock"],
}


def tables(network: torch.nn.Module) -> list[RadialTable]:
    return [module for module in network.modules() if isinstance(module, RadialTable)]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("potential", {}), ("unscaled potential", DENSITY), ("dipole", {}), ("dielectric", {})],
    ids=["potential", "densities", "dipole", "polarizability"],
)
def test_values_and_derivatives_are_those_of_the_networks(kind, settings, committee, graph) -> None:
    networks = committee(kind, **settings)
    with_tables = tabulated(networks)
    assert len(tables(with_tables[0])) == len(networks[0].network.interactions) * (
        1 + bool(settings)
    )
    assert not tables(networks[0])  # they were left as they are
    weights = torch.ones((2, 2, *networks[0].shape), dtype=torch.float64)
    expected = reference(networks, graph(), weights)
    for one, other in zip(reference(with_tables, graph(), weights), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * np.abs(other).max())


def test_a_program_reads_the_tables_of_every_member(committee, graph) -> None:
    networks = tabulated(committee("potential", 3))
    size = ProgramSize(n_structures=3, n_atoms=10, n_pairs=700, n_edges=400)
    found = sums(traced_program(networks, size, stacked=True), networks, size, graph())
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=found.values.shape))
    expected = reference(networks, graph(), weights)
    for one, other in zip([found.values, *found.pull_back(weights)], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_third_parties():
        yield


def smooth(lengths: torch.Tensor) -> torch.Tensor:
    """Two functions that end at 4 as those of MACE do."""
    inside = torch.clamp(1.0 - lengths / 4.0, min=0.0) ** 4
    return torch.cat([inside * torch.cos(5.0 * lengths), inside * torch.sin(3.0 * lengths)], dim=1)


def test_interpolation_holds_its_error_up_to_the_cutoff() -> None:
    table = RadialTable(smooth, 4.0, 512)
    lengths = torch.linspace(radial.CLOSEST, 4.0, 10_007, dtype=torch.float64)[
        :, None
    ].requires_grad_()
    slopes = []
    for functions in (table, smooth):
        values = functions(lengths)
        slopes.append(
            torch.stack(
                [torch.autograd.grad(v.sum(), lengths, retain_graph=True)[0] for v in values.T]
            )
        )
    torch.testing.assert_close(table(lengths), smooth(lengths), rtol=0, atol=1e-12)
    found, expected = slopes
    error = (found - expected).abs().max() / expected.abs().max()
    assert 0.5 * table.error < error < 2.0 * table.error


def test_twice_as_many_intervals_are_thirty_times_as_good() -> None:
    coarse, fine = (RadialTable(smooth, 4.0, n).error for n in (64, 128))
    assert coarse / fine == pytest.approx(32.0, rel=0.2)


def test_beyond_the_cutoff_there_is_nothing() -> None:
    lengths = torch.tensor([[4.0], [4.1], [2e3]], dtype=torch.float64).requires_grad_()
    values = RadialTable(smooth, 4.0, 64)(lengths)
    (slope,) = torch.autograd.grad(values.sum(), lengths)
    assert not values.any()
    assert not slope[1:].any()


@pytest.mark.parametrize(
    "settings",
    [{"distance_transform": "Agnesi"}, {"apply_cutoff": False}, ATTENTION],
    ids=["distances by species", "cutoff elsewhere", "attention"],
)
def test_other_radial_functions_are_left_alone(settings, committee) -> None:
    networks = committee("unscaled potential", 1, **settings)
    assert tabulated(networks) is networks


def test_tables_that_would_not_fit_into_the_caches_are_not_made(committee, monkeypatch) -> None:
    networks = committee("potential", 1)
    monkeypatch.setattr(radial, "MOST_BYTES", 1 << 16)
    assert tabulated(networks) is networks


def test_single_precision_loses_no_more_than_by_itself(committee, graph) -> None:
    networks = committee("potential")
    weights = torch.ones((2, 2), dtype=torch.float64)
    exact = reference(networks, graph(), weights)
    for network in networks:
        network.float()
    with_tables = tabulated(networks)
    assert {table.nodes.dtype for table in tables(with_tables[0])} == {torch.float32}
    errors = [
        [np.abs(one - right).max() for one, right in zip(found, exact, strict=True)]
        for found in (reference(n, graph(), weights) for n in (networks, with_tables))
    ]
    plain, read = np.array(errors)
    assert (read < 2.0 * plain).all()


def test_a_client_whose_tables_fail_goes_on_with_the_networks_as_they_are(
    committee, graph, monkeypatch, caplog, tmp_path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(networks: object) -> None:
        raise ValueError("no spline")

    monkeypatch.setattr(compiled, "tabulated", fail)
    background = Background(patience=0.0)
    networks = CompiledNetworks(PlainNetworks(committee("potential")), background)
    for _ in range(2):
        assert networks(graph()) is None
        assert networks.state is CompilationState.FAILED
    assert not background.running
    assert caplog.text.count("no tables of radial functions: no spline") == 1
