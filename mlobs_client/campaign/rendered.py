"""Whether the files of a run can be read, before there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlobs_client import config
from mlobs_client.campaign.template import Template
from mlobs_client.check import ipi_input
from mlobs_client.errors import ConfigError, MlobsError
from mlobs_client.needs import check_needs
from mlobs_client.tables import parse_toml

INPUT: Final = "input.xml"


def check_rendered(
    template: Template, files: Sequence[str], name: str, values: Mapping[str, object]
) -> None:
    """Read what the input and the client files of a run will be.

    Args:
        template: of the campaign.
        files: those to read, by their names in the template.
        name: of the run.
        values: what the names in the template stand for.

    Raises:
        ConfigError: a file cannot be read with these values; the text names the run and them.
    """
    contents = {**template.copied, **template.render(values)}
    for file in files:
        path = template.folder / file
        try:
            if file == INPUT:
                ipi_input.read_content(contents[file], path)
            else:
                check_needs(config.parse(parse_toml(contents[file], path), str(path)))
        except MlobsError as error:
            said = ", ".join(f"{key} = {value}" for key, value in values.items())
            advice = " (in XML, write &lt; for < and &amp; for &)" if file == INPUT else ""
            raise ConfigError(f"run {name} cannot be read with {said}: {error}{advice}") from error
