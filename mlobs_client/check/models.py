"""Check the model files of a client before they are loaded, since loading can run any code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlobs_client.check.finding import Finding, ok, warning
from mlobs_client.client.build import model_files
from mlobs_client.client.service import ClientFile
from mlobs_client.evaluate.model_archive import describe_file
from mlobs_client.evaluate.model_files import require_trust, untrusted
from mlobs_client.evaluate.parameter_files import that_can_run_code
from mlobs_client.ipi.input import IpiInput


def check_model_files(client: ClientFile) -> Iterator[Finding]:
    """Check that the model files exist and are trusted; nothing is loaded.

    Args:
        client: client file that names the models.

    Raises:
        ModelError: a model file is missing or not trusted.
    """
    paths = model_files(client.config, client.path.parent)
    unknown = untrusted(paths)
    for path, sha256 in unknown.items():
        yield warning(describe_file(path, sha256), "trust it only if you know where it comes from")
    require_trust(unknown)
    if paths:
        yield ok(f"{client.path.name}: all model files exist and are trusted ({len(paths)})")


def require_trusted_input(ipi: IpiInput, folder: Path) -> None:
    """Refuse an input for which i-PI itself would load model files that are not trusted.

    Args:
        ipi: the input; ``<parameters>`` of ``<ffdirect>`` and ``<ffsgdml>`` may name such files.
        folder: folder in which i-PI is started.

    Raises:
        ModelError: the input names such files.
    """
    require_trust(that_can_run_code([ff.loads for ff in ipi.forcefields], folder))
