"""``python -m mlobs_client`` is ``mlobs``."""

from mlobs_client.cli import main

main()
