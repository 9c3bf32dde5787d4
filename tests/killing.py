"""Starts the script ``killed_runs`` and asks it for runs that kill themselves."""

import json
import pickle
import subprocess
import sys
from pathlib import Path


class KilledRuns:
    """Asks the script for runs; see ``killed_runs``."""

    def __init__(self, environment=None):
        script = Path(__file__).parent / "killed_runs.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.duckdb_version = self._process.stdout.readline().strip()

    def __call__(self, config, point, *, nth=1, after=None, command="run"):
        """Return the number of the signal that ended the run."""
        file = Path(f"{config.store.path}.pickle")
        file.write_bytes(pickle.dumps(config))
        request = {"config": str(file), "command": command, "point": point, "nth": nth, "after": after}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        """Let the script end."""
        self._process.stdin.close()
        self._process.wait(30)
