"""What compilation needs of torch, e3nn and MACE beyond what they promise is there."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import mlobs_client.evaluate.compile
import mlobs_client.evaluate.networks
from mlobs_client.evaluate.model_files import quiet_third_parties

TESTED = {"torch": "2.13.0", "mace-torch": "0.3.16", "e3nn": "0.4.4"}
"""When one of them changes, the tests of this folder decide; then change this, and setup.cfg."""

IMPORTED = {
    "torch": {
        "torch._decomp.get_decompositions",
        "torch._functorch.partitioners.min_cut_rematerialization_partition",
        "torch._inductor.aot_compile",
        "torch._inductor.aoti_load_package",
        "torch._inductor.codecache",
        "torch._inductor.config",
        "torch._inductor.cpp_builder",
        "torch._inductor.inductor_prims.force_stride_order",
        "torch._inductor.package.package.package_aoti",
        "torch.fx.experimental.proxy_tensor.make_fx",
    },
    "mace-torch": {
        "mace.modules",
        "mace.modules.EnergyDipolesMACE",
        "mace.modules.blocks",
        "mace.modules.models",
        "mace.modules.radial.BesselBasis",
        "mace.modules.symmetric_contraction.Contraction",
        "mace.modules.utils",
        "mace.tools.scatter",
        "mace.tools.torch_tools.default_dtype",
    },
    "e3nn": {"e3nn.nn.FullyConnectedNet", "e3nn.o3"},
}
USED = {
    "torch": [
        "torch._inductor.codecache._HEADER_DIR",
        "torch._inductor.codecache._HEADER_LOCK_DIR",
        "torch._inductor.config.aot_inductor.package",
        "torch._inductor.config.aot_inductor.precompile_headers",
        "torch._inductor.cpp_builder.get_cpp_compiler",
        "torch.jit.optimized_execution",
    ],
    "mace-torch": [
        "mace.modules.blocks.RadialEmbeddingBlock",
        "mace.modules.blocks.RealAgnosticDensityInteractionBlock",
        "mace.modules.blocks.RealAgnosticDensityResidualInteractionBlock",
        "mace.modules.blocks.RealAgnosticInteractionBlock",
        "mace.modules.blocks.RealAgnosticResidualInteractionBlock",
        *(f"mace.{n}.scatter_sum" for n in ("modules.blocks", "modules.models", "modules.utils")),
        "mace.modules.symmetric_contraction.Contraction.U_tensors",
        "mace.tools.scatter.scatter_sum",
    ],
    "e3nn": ["e3nn.o3.TensorProduct"],
}
OF_INSTANCES = {
    "BesselBasis": ("bessel_weights", "prefactor"),
    "Contraction": ("correlation", "weights", "weights_max"),
    "FullyConnectedNet": ("hs",),
    "TensorProduct": ("instructions", "internal_weights", "irreps_in1", "irreps_in2", "irreps_out"),
    "RealAgnosticInteractionBlock": ("avg_num_neighbors", "conv_tp_weights"),
}
"""Attributes of parts of a network."""


def imported() -> Iterator[str]:
    for room in (mlobs_client.evaluate.compile, mlobs_client.evaluate.networks):
        for path in Path(room.__path__[0]).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_there(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    with quiet_third_parties():
        import mace.modules  # noqa: F401 (e3nn cannot be imported before)

        try:
            importlib.import_module(name)
        except ImportError:
            return bool(module) and is_there(module) and hasattr(find(module), attribute)
    return True


def find(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        return getattr(find(module), attribute)


def explain(package: str) -> str:
    return (
        f"is gone from {package} {version(package)}: compilation was tested with {TESTED[package]}"
    )


def test_all_private_parts_that_are_imported_have_been_named() -> None:
    private = {
        name
        for name in imported()
        if name.startswith(("mace", "e3nn", "torch.fx.experimental", "torch._"))
    }
    assert private == set().union(*IMPORTED.values())


@pytest.mark.parametrize("package", TESTED)
def test_private_parts_of_other_packages_are_there(package: str) -> None:
    for name in (*sorted(IMPORTED[package]), *USED[package]):
        assert is_there(name), f"{name} {explain(package)}"


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("torch._functorch.partitioners.min_cut_rematerialization_partition", "num_fwd_outputs"),
        ("torch._inductor.aoti_load_package", "run_single_threaded"),
        ("torch.fx.experimental.proxy_tensor.make_fx", "_allow_non_fake_inputs"),
    ],
)
def test_private_functions_of_torch_take_what_they_are_given(name: str, argument: str) -> None:
    function = find(name)
    assert callable(function)
    assert argument in inspect.signature(function).parameters, f"{argument} {explain('torch')}"


def test_parts_of_a_network_have_the_attributes_that_are_read(
    committee: Callable[..., list[torch.nn.Module]],
) -> None:
    modules = [module for one in committee("potential", 1) for module in one.modules()]
    for kind, attributes in OF_INSTANCES.items():
        found = [m for m in modules if kind in {base.__name__ for base in type(m).__mro__}]
        assert found, f"{kind} {explain('mace-torch')}"
        for name in attributes:
            assert all(hasattr(one, name) for one in found), f"{kind}.{name} {explain('e3nn')}"
