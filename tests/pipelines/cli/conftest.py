"""Running the command line: in this process where that is enough, in its own where it is not."""

import os
import subprocess
import sys

import pytest

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root


class Ran:
    """What a command did: its exit code and what it wrote."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def parcours(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty working folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, cwd=None):
        if cwd:
            monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = run_guarded(root, [str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Ran(code, written.out, written.err)

    return run


@pytest.fixture
def process(tmp_path):
    """Runs a command as a process of its own."""

    def run(*arguments, cwd=tmp_path, **options):
        command = [sys.executable, "-m", "parcours.pipelines.cli", *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=cwd,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "NO_COLOR": "1"},
            **options,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
