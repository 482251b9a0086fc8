"""``mlobs init``: ready inputs to start from."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

from mlobs_client.errors import ConfigError

TEMPLATES: Final = files("mlobs_client") / "templates"


@click.command(epilog="Example:  mlobs init water-trpmd my-run")
@click.argument("kind", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def command(kind: str | None, folder: Path | None) -> None:
    """Write the input.xml, client.toml and structure of one KIND into FOLDER.

    Without KIND, all kinds are listed. FOLDER is the current one if it is not given. Files that
    are there are never overwritten.
    """
    kinds = find_kinds()
    if kind is None:
        for name, purpose in kinds.items():
            click.echo(f"{name:20s} {purpose}")
        return
    if kind not in kinds:
        raise ConfigError(f"there is no kind {kind!r}; use one of {', '.join(kinds)}")
    target = folder or Path()
    written = copy_kind(kind, target)
    click.echo(
        f"wrote {', '.join(written)} to {target.resolve()}; the head of input.xml tells more"
    )


def find_kinds() -> dict[str, str]:
    """Return the kinds of inputs with the first sentence of their XML."""
    folders = sorted(path.name for path in TEMPLATES.iterdir() if (path / "input.xml").is_file())
    return {name: _first_sentence(TEMPLATES / name / "input.xml") for name in folders}


def copy_kind(kind: str, target: Path) -> list[str]:
    """Copy the files of a kind into a folder, and return their names.

    Raises:
        ConfigError: one of them is there already, or the folder cannot be written.
    """
    sources = sorted(
        (path for path in (TEMPLATES / kind).iterdir() if path.is_file()), key=lambda p: p.name
    )
    for source in sources:
        if (target / source.name).exists():
            raise ConfigError(
                f"{target / source.name} is there already and will not be overwritten; give "
                f"another folder: mlobs init {kind} FOLDER"
            )
    try:
        target.mkdir(parents=True, exist_ok=True)
        for source in sources:
            (target / source.name).write_bytes(source.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error}; give another folder") from error
    return [source.name for source in sources]


def _first_sentence(path: Traversable) -> str:
    comment = re.search(r"<!--(.*?)-->", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = " ".join(comment.group(1).split()) if comment else ""
    return re.split(r"(?<=[.;]) ", text)[0].rstrip(".;")
