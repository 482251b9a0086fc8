"""``mlobs init``: write inputs to start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

from mlobs_client.errors import ConfigError

TEMPLATES: Final = files("mlobs_client") / "templates"
# the file that explains a folder, and the pattern of its first comment
HEADS: Final = {"input.xml": r"<!--(.*?)-->", "campaign.toml": r"#(.*?)\n"}


@click.command(epilog="Example:  mlobs init water-trpmd my-run")
@click.argument("kind", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def command(kind: str | None, folder: Path | None) -> None:
    """Write the input.xml, client.toml and structure (or the campaign) of one KIND into FOLDER.

    Without KIND, the command lists all kinds. FOLDER is the current folder by default. Existing
    files are never overwritten.
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
    where = f"{', '.join(written)} to {target.resolve()}"
    click.echo(f"wrote {where}; read the comment at the top of {_head(kind)}")


def find_kinds() -> dict[str, str]:
    """Return the kinds of inputs, each with the first sentence of its XML or its campaign file."""
    folders = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())
    return {name: _first_sentence(name) for name in folders if _head(name)}


def copy_kind(kind: str, target: Path) -> list[str]:
    """Copy the files of a kind into a folder, and return their names.

    Raises:
        ConfigError: one of the files exists already, or the folder cannot be written.
    """
    sources = dict(_list_files(TEMPLATES / kind))
    for name in sources:
        if (target / name).exists():
            raise ConfigError(
                f"{target / name} exists already and is not overwritten; give another folder: "
                f"mlobs init {kind} FOLDER"
            )
    try:
        for name, source in sources.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error}; give another folder") from error
    return list(sources)


def _list_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_file():
            yield prefix + path.name, path
        elif path.name != "__pycache__":
            yield from _list_files(path, f"{prefix}{path.name}/")


def _head(kind: str) -> str:
    """Return the name of the file that explains a kind; empty if there is none."""
    return next((name for name in HEADS if (TEMPLATES / kind / name).is_file()), "")


def _first_sentence(kind: str) -> str:
    head = _head(kind)
    text = (TEMPLATES / kind / head).read_text(encoding="utf-8")
    comment = re.search(HEADS[head], text, flags=re.DOTALL)
    text = " ".join(comment.group(1).split()) if comment else ""
    return re.split(r"(?<=[.;]) ", text)[0].rstrip(".;")
