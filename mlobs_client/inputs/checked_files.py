"""Write files into a folder, and take them back if ``mlobs check`` finds an error."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

from mlobs_client.check.files import check_all, check_files
from mlobs_client.check.finding import Finding, Level
from mlobs_client.errors import ConfigError
from mlobs_client.progress import Progress

INPUT: Final = "input.xml"
CLIENT: Final = "client.toml"


def write_checked(
    folder: Path, texts: Mapping[str, str], say: Progress, *, with_models: bool = True
) -> list[Finding]:
    """Write the files of a run, check them, and keep them if there is no error.

    Args:
        folder: created if it is not there.
        texts: content of the files by name, ``input.xml`` and ``client.toml`` among them; files
            that are there are replaced.
        say: called with the next activity, which may take minutes, and after each of its parts.
        with_models: the models are loaded and tested, too.

    Returns:
        What is not an error, but may not be meant.

    Raises:
        ConfigError: the first error of the check, or the folder cannot be written. The folder is as
            it was before.
    """
    with _all_or_nothing(folder, texts):
        arguments = folder / INPUT, [folder / CLIENT]
        findings = check_all(*arguments, say=say) if with_models else check_files(*arguments)
        warnings = []
        for finding in findings:
            text = f"{finding.what}; {finding.remedy}"
            if finding.level is Level.ERROR:
                raise ConfigError(f"nothing was written, since mlobs check says: {text}")
            if finding.level is Level.WARNING:
                warnings.append(finding)
    return warnings


@contextlib.contextmanager
def _all_or_nothing(folder: Path, texts: Mapping[str, str]) -> Generator[None, None, None]:
    """Write files; if the block fails, put back what was there."""
    before: dict[Path, bytes | None] = {}
    made = _missing(folder)
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                path = folder / name
                before[path] = path.read_bytes() if path.exists() else None
                path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write to {folder}: {error}; give another folder") from error
        yield
    except BaseException:  # also Ctrl-C, while models are tested
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()
        raise


def _missing(folder: Path) -> list[Path]:
    """Return the folders that will be made, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]
