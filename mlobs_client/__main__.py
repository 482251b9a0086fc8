"""Run ``mlobs`` as ``python -m mlobs_client``."""

from mlobs_client.cli import main

main()
