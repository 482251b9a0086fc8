"""The committee that ``mlobs compile`` compiles, once for all tests that need a real program."""

from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner
from untrained import build

from mlobs_client.cli import group
from mlobs_client.evaluate.model_files import quiet_third_parties

SMALL = {"max_ell": 1, "correlation": 1, "num_interactions": 1}
"""The smaller a network, the sooner it is compiled; those of real size: make bench."""
TWO_MOLECULES = """6
Lattice="3.62 0.42 0.17 -0.67 3.91 0.23 -0.28 0.3 3.63" Properties=species:S:1:pos:R:3 pbc="T T T"
O -4.42 2.69 4.76
H -3.5 2.69 4.85
H -4.64 3.48 4.73
O -1.68 3.57 -2.31
H -0.78 3.56 -2.3
H -1.94 4.5 -2.24
"""
CLIENT = """structure = "init.xyz"
[potential]
kind = "mace"
models = ["*.model"]
"""


def two_networks() -> list[torch.nn.Module]:
    """Two networks of one build, with ZBL."""
    return [build("unscaled potential", seed, **SMALL) for seed in range(2)]


def write_client(folder: Path) -> Path:
    """A client file of the committee, whose files are trusted."""
    for number, network in enumerate(two_networks()):
        model = folder / f"{number}.model"
        with quiet_third_parties():
            torch.save(network, model)
        assert CliRunner().invoke(group, ["model", "trust", str(model)]).exit_code == 0
    (folder / "init.xyz").write_text(TWO_MOLECULES)
    client = folder / "client.toml"
    client.write_text(CLIENT)
    return client


def compile_client(folder: Path) -> Path:
    """Its client file, after ``mlobs compile`` for two structures.

    Tests in other processes that do the same wait for this compilation, or find its program.
    """
    client = write_client(folder)
    done = CliRunner().invoke(group, ["compile", str(client), "-b", "2"])
    assert done.exit_code == 0, done.output
    return client
