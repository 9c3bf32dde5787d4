"""Runs that kill themselves with SIGKILL at a named point: a script that tests start once and ask many times.

It loads the product once and forks for each run, so that a run costs no start-up, and begins by telling the
version of DuckDB. A request is one line of JSON on stdin: ``config`` is a file with a pickled config,
``command`` is run, apply (a run that applies changed rules), rebuild, publish, replay (of all that is open),
revalidate or ``unlink ID CUSTOMER_ID``, ``point`` is ``start``, ``begin STEP``, ``end STEP``, or null for a
run that nothing happens to; the run dies ``after`` seconds after it came to the point for the ``nth`` time.
The answer is the number of the signal that ended the run, 0 where it was through.
"""

import json
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import duckdb

import parcours.pipelines.ingest_touchpoints  # noqa: F401  loads Beam, before the fork
from parcours.pipelines import decisions, publication, replay, revalidate, runs
from parcours.pipelines.observe import SilentObserver


class _Killer(SilentObserver):
    """Ends the process when it comes to the point."""

    def __init__(self, point, nth, after):
        self._point, self._left, self._after = point, nth, after
        self._at("start")

    def begin(self, step):
        self._at(f"begin {step}")

    def end(self, step):
        self._at(f"end {step}")

    def _at(self, point):
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0 and self._after is None:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            threading.Thread(target=self._later, daemon=True).start()

    def _later(self):
        time.sleep(self._after)
        os.kill(os.getpid(), signal.SIGKILL)


def _run(config, command, point, nth, after):
    observer = _Killer(point, nth, after)
    with Path(config).open("rb") as file:
        loaded = pickle.load(file)
    if command == "rebuild":
        runs.rebuild(loaded, observer=observer)
    elif command == "publish":
        publication.publish_now(loaded, observer)
    elif command == "replay":
        replay.replay(loaded, observer=observer)
    elif command == "revalidate":
        revalidate.revalidate(loaded, observer=observer)
    elif command.startswith("unlink "):
        decisions.decide(loaded, *command.split(), observer=observer)
    else:
        runs.run(loaded, apply_rules=command == "apply", observer=observer, stop=threading.Event())


def main():
    """Answer requests until stdin ends."""
    print(duckdb.__version__, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                _run(**json.loads(line))
            except BaseException:  # the child may only leave by _exit: the loop is its parent's
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(-status, flush=True)


if __name__ == "__main__":
    main()
