"""What is traced is the network: values, derivatives, one member or all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from uncompiled import KINDS, reference

from mlobs_client.evaluate.compile.programs import differing
from mlobs_client.evaluate.compile.trace import trace


@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stacked"])
@pytest.mark.parametrize("kind", KINDS)
def test_traced_graphs_give_values_and_derivatives_of_the_network(
    kind, stacked, committee, inputs
) -> None:
    networks = committee(kind)
    states = [network.state_dict() for network in networks]
    names = differing(networks)
    assert any(name.endswith("avg_num_neighbors") for name in names)
    example, other = inputs(0), inputs(0)._replace(vectors=1.01 * inputs(0).vectors)
    own = {name: torch.stack([state[name] for state in states]) for name in names}
    if not stacked:
        own = {name: tensor[1] for name, tensor in own.items()}
    # traced with the first member, so that whatever is not an argument would be wrong for the other
    forward, backward = trace(networks[0], own, example, stacked)
    values, *saved = forward(*other, *own.values())
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=values.shape))
    (derivative,) = backward(*saved, weights)
    members = networks if stacked else networks[1:]
    expected = reference(members, other, weights if stacked else weights[None])
    np.testing.assert_allclose(values if stacked else values[None], expected[0], atol=1e-13)
    np.testing.assert_allclose(derivative, expected[1], atol=1e-13)


def test_tracing_leaves_mace_as_it_was(committee, inputs) -> None:
    networks = committee("potential")
    weights = torch.ones((2, 9), dtype=torch.float64)
    before = reference(networks, inputs(), weights)
    names = differing(networks)
    trace(networks[0], {n: networks[0].state_dict()[n] for n in names}, inputs(), False)
    after = reference(networks, inputs(), weights)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert torch.zeros(2).requires_grad_().requires_grad
