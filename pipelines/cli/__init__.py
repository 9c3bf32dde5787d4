"""The command line: ``parcours COMMAND``, one module per command.

Results go to stdout, everything said to people goes to stderr. A command imports what it needs when it runs,
never at the top of its module: ``parcours --help`` answers before Beam or DuckDB could be loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    sys.exit(run_guarded(root, argv))
