"""Render the template of a campaign: text files in which $name is replaced, and other files.

A folder is written under another name and then renamed, so that it appears as a whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from mlobs_client.errors import ConfigError
from mlobs_client.tables import suggest

OF_AN_EDITOR: Final = r"(^|/)\.|~$"
"""Names of temporary files of editors, which are left out."""
MARK: Final = ".partial"
"""Ending of the names of incomplete folders."""


@dataclass(frozen=True)
class Template:
    """The files of a template.

    Attributes:
        folder: folder of the template.
        copied: contents of files without $, by their paths in the folder.
        texts: contents of text files with $.
    """

    folder: Path
    copied: Mapping[str, bytes]
    texts: Mapping[str, str]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Each name that follows a $, with the first file and line in which it occurs.

        Raises:
            ConfigError: a $ is not followed by a name.
        """
        found: dict[str, str] = {}
        for file, text in self.texts.items():
            for name, line in _find_names(text, str(self.folder / file)):
                found.setdefault(name, f"{self.folder / file}:{line}")
        return found

    def check(self, known: Mapping[str, object]) -> None:
        """Check that there is a value for every name.

        Raises:
            ConfigError: a name has no value; the message gives the file and the line.
        """
        for name, where in self.names.items():
            if name not in known:
                remedy = suggest(name, known) if known else "there are no parameters"
                raise ConfigError(
                    f"{where}: ${name} is not a parameter of this campaign; {remedy} "
                    "(write $$ for a dollar sign)"
                )

    def render(self, values: Mapping[str, object]) -> dict[str, bytes]:
        """Return the text files, with a value in place of each ``$name``."""
        return {
            file: string.Template(text).substitute(values).encode()
            for file, text in self.texts.items()
        }

    def contents(self, values: Mapping[str, object]) -> dict[str, bytes]:
        """Return all files, as they are in the folder of a run."""
        return {**self.copied, **self.render(values)}

    def digest(self, values: Mapping[str, object], more: str) -> str:
        """Return a hash of all rendered files and of ``more``."""
        rendered = {file: _sha256(content) for file, content in self.render(values).items()}
        return _sha256(json.dumps([self._copied_digest, rendered, more], sort_keys=True).encode())

    @cached_property
    def _copied_digest(self) -> str:
        digests = {file: _sha256(content) for file, content in self.copied.items()}
        return _sha256(json.dumps(digests, sort_keys=True).encode())

    def write(
        self, values: Mapping[str, object], target: Path, others: Mapping[str, bytes]
    ) -> None:
        """Write all files into a folder.

        Args:
            values: values of the names.
            target: the folder; if it exists, it stays as it is.
            others: contents of further files, by their names.

        Raises:
            OSError: a file cannot be written, or the folder already has files.
        """
        unfinished = target.with_name(f".{target.name}{MARK}")
        shutil.rmtree(unfinished, ignore_errors=True)
        for file, content in {**self.contents(values), **others}.items():
            path = unfinished / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        unfinished.rename(target)


def read_template(folder: Path) -> Template:
    """Read the files of a template from its folder, with all subfolders.

    Raises:
        ConfigError: it is missing, or a file cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: no such folder; put input.xml and client.toml there, and name it as "
            "template in the campaign file"
        )
    copied: dict[str, bytes] = {}
    texts: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        file = path.relative_to(folder).as_posix()
        if re.search(OF_AN_EDITOR, file):
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        if b"$" in content and (text := _decode(content)) is not None:
            texts[file] = text
        else:
            copied[file] = content
    return Template(folder, copied, texts)


def _decode(content: bytes) -> str | None:
    """Return the text; None if the content is binary."""
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _find_names(text: str, file: str) -> Iterator[tuple[str, int]]:
    for match in string.Template.pattern.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["invalid"] is not None:
            raise ConfigError(f"{file}:{line}: no name follows this $; write $$ for a dollar sign")
        if match["escaped"] is None:
            yield match["named"] or match["braced"], line


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
