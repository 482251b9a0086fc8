"""Evaluate the symmetric contraction of an atom's neighbourhood as a polynomial.

MACE multiplies by full tensors over all products of components, nearly all of which are zero or
belong to the same product in another order: for a vector of third order from harmonics up to l = 3,
there are 12288 numbers for 278 different products. Here every product is formed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import torch

from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    from mace.modules.symmetric_contraction import Contraction

MOST_TERMS: Final = 600
"""Largest number of terms of a contraction; with more of them, the compiler takes minutes."""

Monomial = tuple[int, ...]
"""Indices of the components that are multiplied, in ascending order."""


class Tree(NamedTuple):
    """A polynomial in Horner's form, ``c + sum_i x_i (c_i + sum_j x_j (c_ij + ...))``.

    Attributes:
        term: index of the coefficient c; None if there is none.
        branches: polynomial by which each component is multiplied.
    """

    term: int | None
    branches: Mapping[int, Tree]


class _Polynomials(NamedTuple):
    """Polynomials, one for each component of the result.

    Attributes:
        trees: polynomials in Horner's form.
        paths: matrix from the weights of paths to coefficients of terms, shape
            ``(n_terms, n_paths)``.
    """

    trees: tuple[Tree, ...]
    paths: torch.Tensor


class Contractions:
    """All symmetric contractions of a network, with their constants as numbers.

    Args:
        network: network with any contractions; those with too many terms stay as they are.
        names: names of tensors of the network that are not constant.
    """

    def __init__(self, network: torch.nn.Module, names: Iterable[str] = ()) -> None:
        variable = {name.rpartition(".")[0] for name in names if ".U_matrix_" in f".{name}"}
        self._polynomials = {
            module: polynomials
            for name, module in network.named_modules()
            if isinstance(module, Contraction)
            and name not in variable
            and (polynomials := _polynomials(module)) is not None
        }

    def __iter__(self) -> Iterator[torch.nn.Module]:
        return iter(self._polynomials)

    def contract(self, contraction: Any, x: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
        """Return ``contraction(x, attributes)``.

        Args:
            contraction: contraction of the network.
            x: shape ``(n_atoms, n_channels, n_components)``.
            attributes: shape ``(n_atoms, n_species)``, one-hot.

        Returns:
            Shape ``(n_atoms, n_channels * n_components_of_result)``.
        """
        trees, paths = self._polynomials[contraction]
        # of orders 1, 2, ...; MACE keeps the highest by itself and the others downwards
        weights = torch.cat([*reversed(contraction.weights), contraction.weights_max], dim=1)
        of_species = torch.matmul(paths, weights)  # (n_species, n_terms, n_channels)
        coefficients = of_species[attributes.argmax(dim=1)].unbind(1)
        components = x.transpose(1, 2).contiguous().unbind(1)
        results = [_evaluate(tree, coefficients, components) for tree in trees]
        return torch.stack(results, dim=2).flatten(1)


def _evaluate(
    tree: Tree, coefficients: tuple[torch.Tensor, ...], x: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    terms = [] if tree.term is None else [coefficients[tree.term]]
    terms += [x[i] * _evaluate(branch, coefficients, x) for i, branch in tree.branches.items()]
    return sum(terms[1:], terms[0])


def _polynomials(contraction: Any) -> _Polynomials | None:
    """Return the polynomials of a contraction; None if they have too many terms."""
    terms: dict[tuple[int, Monomial], torch.Tensor] = {}
    orders = [contraction.U_tensors(nu) for nu in range(1, contraction.correlation + 1)]
    n_paths = [tensor.shape[-1] for tensor in orders]
    for nu, tensor in enumerate(orders, start=1):
        of_order = tensor if tensor.ndim == nu + 2 else tensor.unsqueeze(0)  # scalars have no axis
        before = sum(n_paths[: nu - 1])
        for component, *factors in of_order.abs().sum(dim=-1).nonzero().tolist():
            key = component, tuple(sorted(factors))
            row = terms.setdefault(key, tensor.new_zeros(sum(n_paths)))
            row[before : before + n_paths[nu - 1]] += of_order[(component, *factors)]
    kept = {key: row for key, row in terms.items() if row.any()}
    if not kept or len(kept) > MOST_TERMS:
        return None
    n_components = 1 + max(component for component, _ in kept)
    trees = tuple(
        _tree({factors: i for i, (m, factors) in enumerate(kept) if m == component})
        for component in range(n_components)
    )
    return _Polynomials(trees, torch.stack(list(kept.values())))


def _tree(terms: Mapping[Monomial, int]) -> Tree:
    """Return Horner's form of a sum of products."""
    branches: dict[int, dict[Monomial, int]] = {}
    for (first, *others), term in ((m, t) for m, t in terms.items() if m):
        branches.setdefault(first, {})[tuple(others)] = term
    return Tree(terms.get(()), {i: _tree(branch) for i, branch in branches.items()})
