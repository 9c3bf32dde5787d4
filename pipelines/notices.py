"""Notices: who is told when publication is held or released, a run or check failed, or a source is late.

A notice has no personal data: rule names and counts, the store's file name and the run's id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from parcours.schemas.config import Config
from parcours.schemas.rule import Notice

SECONDS = 10.0
"""How long a command or an address may take."""


class _NoRedirect(HTTPRedirectHandler):
    """Follows nobody: what is posted would be asked for instead, and the notice be lost without a word."""

    def redirect_request(self, *_: Any) -> None:
        """Leave the redirect to be the error that it is."""


class Notices:
    """Tells what the config wants told; a notice that cannot be told is a warning.

    Args:
        config: whose ``[notify]`` counts.
        warn: takes the warnings; they hold neither the address nor what the command wrote.
    """

    def __init__(self, config: Config, warn: Callable[[str], None]) -> None:
        self._notify = config.notify
        self._store = Path(config.store.path).name
        self._warn = warn

    def tell(
        self,
        event: Notice,
        run_id: str | None,
        broken: Mapping[str, int] = MappingProxyType({}),
        error: str | None = None,
    ) -> None:
        """Tell of one event.

        Args:
            event: what happened.
            run_id: the run or check; null where none had begun.
            broken: the rules that are the reason, each with how many rows break it.
            error: the kind of error, of ``failed``.
        """
        if event not in self._notify.on:
            return
        notice = {
            "event": event,
            "store": self._store,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": run_id,
            "reasons": [{"rule": rule, "failed": failed} for rule, failed in broken.items()],
            **({"error": error} if error else {}),
        }
        body = json.dumps(notice, ensure_ascii=False).encode()
        if self._notify.command:
            self._run(event, list(self._notify.command), body)
        if self._notify.webhook:
            self._post(event, self._notify.webhook, body)

    def _run(self, event: Notice, command: list[str], body: bytes) -> None:
        try:
            # what it writes goes nowhere: a pipe that its own children keep open would never end
            process = subprocess.Popen(  # noqa: S603, the config's own command
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            process.communicate(body, timeout=SECONDS)
            if process.returncode:
                self._failed(event, f"the command ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with its children, which would stay, one more each time
            process.wait()
            self._failed(event, f"the command took longer than {SECONDS:.0f} s and was ended")
        except OSError as error:
            self._failed(event, f"the command could not be started: {error.strerror}")

    def _post(self, event: Notice, address: str, body: bytes) -> None:
        try:
            request = Request(address, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310, the config allows http and https alone
            with build_opener(_NoRedirect).open(request, timeout=SECONDS):
                pass
        except HTTPError as error:
            error.close()
            self._failed(event, f"the webhook answered {error.code}")
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            self._failed(event, f"the webhook could not be reached: {type(reason).__name__}")

    def _failed(self, event: Notice, problem: str) -> None:
        self._warn(f'the notice "{event}" was not delivered: {problem}; look at [notify]')
