"""Read the files of a run as they will be, before they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mlobs_client.campaign.template import Template
from mlobs_client.client import config
from mlobs_client.client.needs import check_needs
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import ConfigError, MlobsError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.tables import parse_toml

INPUT: Final = "input.xml"


@dataclass(frozen=True)
class Rendered:
    """The files of one run, with the values of its parameters.

    Attributes:
        folder: folder of the template, for error messages.
        contents: contents of the files, by their names in the template.
    """

    folder: Path
    contents: Mapping[str, bytes]

    @classmethod
    def of(cls, template: Template, values: Mapping[str, object]) -> Self:
        """Insert values for the names in a template."""
        return cls(template.folder, template.contents(values))

    def read_input(self) -> IpiInput:
        """Read the input of i-PI.

        Raises:
            ConfigError: it is not XML, or a number in it is invalid.
        """
        return ipi_input.read_content(self.contents[INPUT], self.folder / INPUT)

    def read_client(self, file: str) -> ClientFile:
        """Read a client file, by its name in the template.

        Raises:
            ConfigError: it is not TOML, or is invalid.
        """
        path = self.folder / file
        table = config.parse(parse_toml(self.contents[file], path), str(path))
        return ClientFile(path, table)


def check_rendered(
    template: Template, files: Sequence[str], name: str, values: Mapping[str, object]
) -> None:
    """Read the input and the client files that a run will have.

    Args:
        template: template of the campaign.
        files: files to read, by their names in the template.
        name: name of the run.
        values: values of the names in the template.

    Raises:
        ConfigError: a file cannot be read with these values; the message names the run and
            the values.
    """
    rendered = Rendered.of(template, values)
    for file in files:
        try:
            if file == INPUT:
                rendered.read_input()
            else:
                check_needs(rendered.read_client(file).config)
        except MlobsError as error:
            said = ", ".join(f"{key} = {value}" for key, value in values.items())
            advice = " (in XML, write &lt; for < and &amp; for &)" if file == INPUT else ""
            raise ConfigError(f"run {name} cannot be read with {said}: {error}{advice}") from error
