"""Programs of a larger size than asked for; here the traced graphs play the compiled ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from uncompiled import KINDS, reference, traced_program

from mlobs_client.evaluate.compile.programs import Contributions, differing
from mlobs_client.evaluate.compile.store import Size

SIZE = Size(n_atoms=14, n_edges=400)


@pytest.mark.parametrize("stacked", [False, True], ids=["loop", "stacked"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_number(kind, stacked, committee, inputs) -> None:
    networks = committee(kind, 3)
    found = Contributions(traced_program(networks, SIZE, stacked), SIZE, inputs())
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=found.values.shape))
    expected = reference(networks, inputs(), weights)
    np.testing.assert_allclose(found.values, expected[0], atol=1e-13)
    np.testing.assert_allclose(found.pull_back(weights), expected[1], atol=1e-13)
    # the way back can be gone again, for another member
    weights[1:] = 0.0
    expected = reference(networks, inputs(), weights)
    np.testing.assert_allclose(found.pull_back(weights), expected[1], atol=1e-13)


def test_a_program_full_of_edges_needs_no_padding(committee, inputs) -> None:
    networks = committee("potential")
    given = inputs()
    repeats = -(-SIZE.n_edges // len(given.vectors))
    full = given._replace(
        vectors=given.vectors.repeat(repeats, 1)[: SIZE.n_edges],
        edges=given.edges.repeat(1, repeats)[:, : SIZE.n_edges],
    )
    found = Contributions(traced_program(networks, SIZE, True), SIZE, full)
    weights = torch.ones_like(found.values)
    np.testing.assert_allclose(found.values, reference(networks, full, weights)[0], atol=1e-12)


def test_a_single_network_has_all_its_parameters_as_arguments(committee) -> None:
    (network,) = committee("potential", 1)
    parameters = {name for name, _ in network.named_parameters()}
    assert parameters <= set(differing([network]))


def test_members_differ_in_what_was_trained(committee) -> None:
    names = differing(committee("potential", 2))
    assert any("avg_num_neighbors" in name for name in names)
    assert not any("atomic_numbers" in name or "r_max" in name for name in names)
