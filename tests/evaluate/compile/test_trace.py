"""What is traced are the networks: values, derivatives, one member or all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from uncompiled import reference, sums, traced_program

from mlobs_client.evaluate.compile.programs import differing
from mlobs_client.evaluate.compile.store import ProgramSize

SIZE = ProgramSize(n_structures=3, n_atoms=10, n_pairs=700, n_edges=400)


@pytest.mark.parametrize("stacked", [False, True], ids=["loop", "stacked"])
def test_what_differs_between_members_is_an_argument(stacked, committee, graph) -> None:
    first, *others = committee("potential", 3)
    assert any(name.endswith("avg_num_neighbors") for name in differing([first, *others]))
    # traced with the first member, so that whatever is not an argument would be wrong for others
    program = traced_program(others, SIZE, stacked, sample=first)
    found = sums(program, others, SIZE, graph())
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=found.values.shape))
    expected = reference(others, graph(), weights)
    for one, other in zip([found.values, *found.pull_back(weights)], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_tracing_leaves_mace_as_it_was(committee, graph) -> None:
    networks = committee("potential", correlation=1, num_interactions=1)  # which is traced sooner
    weights = torch.ones((2, 2), dtype=torch.float64)
    before = reference(networks, graph(), weights)
    traced_program(networks, SIZE, False)
    for one, other in zip(before, reference(networks, graph(), weights), strict=True):
        np.testing.assert_array_equal(one, other)
    assert torch.zeros(2).requires_grad_().requires_grad
