"""``mlobs model``: what is in model files, and which of them are trusted."""

from __future__ import annotations

from pathlib import Path

import click

from mlobs_client.errors import ModelError


@click.group(
    epilog="Examples:  mlobs model show 'bundled:water/*'   |   mlobs model trust my.model"
)
def command() -> None:
    """Show model files and say which of them you trust.

    A *.model file of MACE is a pickle: reading it can run any code that its maker put there. mlobs
    warns, with the sha256, before it reads a file that you have not trusted. The bundled models
    are trusted.
    """


@command.command(epilog="Example:  mlobs model trust committee/*.model")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def trust(files: tuple[Path, ...]) -> None:
    """Trust FILES, by their content, from now on."""
    from mlobs_client.evaluate import model_files

    for path in files:
        click.echo(f"{model_files.trust(path)}  {path}")
    click.echo(f"remembered in {model_files.trust_file()}")


@command.command(epilog="Example:  mlobs model show 'bundled:water/potential-*'")
@click.argument("patterns", nargs=-1, required=True)
def show(patterns: tuple[str, ...]) -> None:
    """Say what the files of PATTERNS are: class, species, cutoff, size, sha256."""
    from ase.data import chemical_symbols

    from mlobs_client.evaluate import model_files

    for path in model_files.resolve(patterns, Path.cwd()):
        network = model_files.load(path)
        if not hasattr(network, "r_max"):
            raise ModelError(f"{path}: contains a {type(network).__name__}, no network of MACE")
        species = ", ".join(chemical_symbols[z] for z in network.atomic_numbers.tolist())  # type: ignore[operator]
        n_parameters = sum(parameter.numel() for parameter in network.parameters())
        click.echo(
            f"{path.name}: {type(network).__name__} for {species}, cutoff "
            f"{float(network.r_max):.2f} angstrom, {n_parameters} parameters, "  # type: ignore[arg-type]
            f"sha256 {model_files.digest(path)}"
        )
