"""The command line: ``parcours COMMAND``, one module per command.

Lives here: options, messages, exit codes. Results go to stdout, everything said to people goes to stderr.
May import every other room, but when a command runs, never at the top of its module: ``parcours --help``
answers before Beam or DuckDB could be loaded.
Must not be added: work that someone may want without a terminal; that goes to the rest of ``pipelines/``.
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
