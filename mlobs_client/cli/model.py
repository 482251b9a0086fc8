"""``mlobs model``: describe model files, and trust them."""

from __future__ import annotations

from pathlib import Path

import click

from mlobs_client.errors import ModelError


@click.group(
    epilog="Examples:  mlobs model show 'bundled:water/*'   |   mlobs model trust my.model"
)
def command() -> None:
    """Describe model files, and trust them.

    A *.model file of MACE is a pickle: loading it can run any code that its author put there.
    Therefore mlobs loads only files that you have trusted. The bundled models are trusted, and so
    are those that 'mlobs train' has written for you.
    """


@command.command(epilog="Example:  mlobs model trust committee/*.model")
@click.argument("files", metavar="FILE...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
def trust(files: tuple[Path, ...]) -> None:
    """Trust each FILE from now on; a file whose content changes loses that trust."""
    from mlobs_client.evaluate import model_files, trusted_list

    for path in files:
        click.echo(f"{model_files.trust(path)}  {path}")
    click.echo(f"remembered in {trusted_list.trust_file()}")


@command.command(epilog="Example:  mlobs model show 'bundled:water/potential-*'")
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
def show(patterns: tuple[str, ...]) -> None:
    """Describe the model files that match PATTERN: class, species, cutoff, size, sha256.

    A file that is not trusted is not loaded. Its size, its sha256, the names in its archive, and
    the functions and classes that loading it would use are shown instead.
    """
    from mlobs_client.evaluate import model_files
    from mlobs_client.evaluate.model_archive import describe_file

    paths = model_files.resolve(patterns, Path.cwd())
    unknown = model_files.untrusted(paths)
    for path in paths:
        click.echo(describe_file(path, unknown[path]) if path in unknown else _describe(path))
    model_files.require_trust(unknown)


def _describe(path: Path) -> str:
    """Load a trusted file, and describe its network."""
    from ase.data import chemical_symbols

    from mlobs_client.evaluate import model_files

    network = model_files.load(path)
    if not hasattr(network, "r_max"):
        raise ModelError(f"{path}: contains a {type(network).__name__}, not a MACE network")
    species = ", ".join(chemical_symbols[z] for z in network.atomic_numbers.tolist())  # type: ignore[operator]
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    return (
        f"{path.name}: {type(network).__name__} for {species}, cutoff "
        f"{float(network.r_max):.2f} angstrom, {n_parameters} parameters, "  # type: ignore[arg-type]
        f"sha256 {model_files.digest(path)}"
    )
