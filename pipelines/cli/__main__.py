"""``python -m parcours.pipelines.cli``."""

from parcours.pipelines.cli import main

main()
