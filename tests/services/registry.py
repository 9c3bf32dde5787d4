"""A real schema registry on this machine: Apicurio, with Confluent's API, in memory.

Needs Java 17 and, the first time, Maven: what was fetched is kept in
``${XDG_CACHE_HOME:-~/.cache}/parcours``. It listens on 127.0.0.1 and on a free port, and forgets everything
when it is stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

VERSION = "2.6.13.Final"
READY_SECONDS = 60
_POLL_SECONDS = 0.1
_LOG_CHARACTERS = 3_000


def _home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parcours"
    return cache / f"apicurio-{VERSION}"


def missing_parts() -> list[str]:
    """Name the programs that are needed and not there."""
    needed = ["java"] if _home().is_dir() else ["java", "mvn"]
    return [program for program in needed if shutil.which(program) is None]


def fetch() -> Path:
    """Return the folder of the registry's jars, fetching it with Maven where it is not in the cache."""
    home = _home()
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
            command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}"]
            subprocess.run(
                [*command, f"-DoutputDirectory={folder}"], check=True, stdout=sys.stderr, cwd=folder
            )
            packed = next(Path(folder).glob("*.tar.gz"))
            with tarfile.open(packed) as archive:
                archive.extractall(f"{folder}/app", filter="data")
            with contextlib.suppress(OSError):  # another process was faster: its jars are as good
                (Path(folder) / "app").rename(home)
    return home


class Registry:
    """A running registry, while the ``with`` block does."""

    def __init__(self) -> None:
        self._home = fetch()
        self._folder = tempfile.TemporaryDirectory(prefix="parcours-registry-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        self._process: subprocess.Popen[bytes] | None = None

    def register(self, subject: str, schema: Any, references: Sequence[Mapping[str, Any]] = ()) -> int:
        """Register a schema as a subject's next version, and return its id.

        Args:
            subject: its name.
            schema: the schema, as ``json.loads`` gives it.
            references: ``name``, ``subject`` and ``version`` of the schemas that it uses by name.
        """
        body = {"schema": json.dumps(schema), "references": list(references)}
        request = Request(
            f"{self.url}/subjects/{quote(subject, safe='')}/versions",
            json.dumps(body).encode(),
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urlopen(request, timeout=READY_SECONDS) as answer:
            return int(json.load(answer)["id"])

    def __enter__(self) -> Registry:
        log = Path(self._folder.name) / "registry.log"
        jar = self._home / f"apicurio-registry-app-{VERSION}-runner.jar"
        options = [
            *("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            f"-Dquarkus.http.port={self.port}",
            "-Dquarkus.http.host=127.0.0.1",
        ]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                ["java", *options, "-jar", str(jar)],
                stdout=out,
                stderr=out,
                cwd=self._folder.name,
                start_new_session=True,  # Ctrl-C is for the caller, who stops the registry
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text()[-_LOG_CHARACTERS:]
                self.__exit__()
                raise RuntimeError(f"the registry did not start:\n{said}")
            time.sleep(_POLL_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/subjects", timeout=5):
                return True
        except (URLError, OSError):
            return False
