"""Notices: what a command and a webhook are given, and what becomes of one that is not delivered."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from parcours.pipelines import notices
from parcours.pipelines.config import read_config
from parcours.pipelines.notices import Notices
from parcours.schemas.config import Config


@contextmanager
def webhook(status=200, **headers):
    """A server that keeps what is posted to it, and its address."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield posted, f"http://127.0.0.1:{server.server_port}/hooks/t0p-s3cret"
        finally:
            server.shutdown()
            thread.join()


def told(warnings, **notify):
    """Notices of a config; what goes wrong is added to ``warnings``."""
    return Notices(Config.model_validate({"notify": notify}), warnings.append)


def test_a_webhook_is_posted_the_notice():
    """The address gets one JSON object: event, the store's file name, time, run, rules with their counts."""
    warnings = []
    with webhook() as (posted, address):
        told(warnings, webhook=address).tell("held", "run-1", {"touchpoints.event_id_unique": 3})
    ((path, kind, notice),) = posted
    assert ("/hooks/t0p-s3cret", "application/json") == (path, kind)
    assert notice.pop("at").endswith("+00:00")
    assert notice == {
        "event": "held",
        "store": "parcours.duckdb",
        "run_id": "run-1",
        "reasons": [{"rule": "touchpoints.event_id_unique", "failed": 3}],
    }
    assert [] == warnings


def test_a_command_is_given_the_notice(tmp_path):
    """The command reads the same object from its standard input."""
    warnings = []
    told(warnings, command=["tee", str(tmp_path / "notice")]).tell(
        "failed", "run-1", error="SliceFailedError"
    )
    notice = json.loads((tmp_path / "notice").read_text())
    assert ("failed", "SliceFailedError", []) == (notice["event"], notice["error"], notice["reasons"])
    assert [] == warnings


def test_only_what_is_asked_for_is_told(tmp_path):
    """Events that ``on`` leaves out are told to nobody."""
    told([], command=["touch", str(tmp_path / "told")], on=["held"]).tell("released", "run-1")
    assert [] == list(tmp_path.iterdir())


def test_a_webhook_that_fails_is_a_warning_without_its_address():
    """An error of the server, and none there, are told in words that hold nothing of the address."""
    warnings = []
    with webhook(500) as (_, address):
        told(warnings, webhook=address).tell("held", "run-1")
    told(warnings, webhook=address).tell("held", "run-1")
    assert ["the webhook answered 500" in warnings[0], "ConnectionRefusedError" in warnings[1]] == [
        True,
        True,
    ]
    assert 2 == len(warnings)
    assert not any("s3cret" in text or "127.0.0.1" in text for text in warnings)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_webhook_elsewhere_is_a_warning(status):
    """A redirect is not followed, as its answer would say nothing of the notice: the address is to change."""
    warnings = []
    with webhook() as (posted, elsewhere), webhook(status, Location=elsewhere) as (_, address):
        told(warnings, webhook=address).tell("held", "run-1")
    assert f"the webhook answered {status}" in warnings[0]
    assert [] == posted


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["sh", "-c", "exit 3"], "ended with 3"),
        (["/no/such/program"], "could not be started: No such file or directory"),
        (["true"], None),
    ],
)
def test_a_command_that_fails_is_a_warning(command, problem):
    """A command that ends badly or is not there stops nothing; one that does not read its input is fine."""
    warnings = []
    told(warnings, command=command).tell("late", "run-1", {"source.crm.late": 1})
    assert [problem] == [
        text.partition("the command ")[2].partition(";")[0] for text in warnings
    ] or not problem
    assert bool(warnings) == bool(problem)


def test_a_command_that_hangs_is_ended(monkeypatch, tmp_path):
    """A command has its time and no more, and nor have its own children."""
    monkeypatch.setattr(notices, "SECONDS", 0.5)
    warnings = []
    child = tmp_path / "child"
    began = time.monotonic()
    told(warnings, command=["sh", "-c", f"sleep 30 & echo $! > {child}; sleep 30"]).tell("held", "run-1")
    assert time.monotonic() - began < 10
    assert "took longer" in warnings[0]
    state = Path(f"/proc/{int(child.read_text())}/stat")
    while state.exists() and state.read_text().split()[2] != "Z":  # killed, but perhaps nobody's to collect
        assert time.monotonic() - began < 10
        time.sleep(0.01)


def test_the_address_is_a_secret(tmp_path):
    """It is masked where the config is shown and in every message; what is no address is refused."""
    file = tmp_path / "parcours.toml"
    file.write_text('[notify]\nwebhook = "https://example.org/hooks/t0p-s3cret"\n')
    loaded = read_config([file], {}, {})
    assert "****" == loaded.shown()["notify"]["webhook"]
    assert "s3cret" not in repr(loaded.config)
    assert "see ****" == loaded.secrets.mask("see https://example.org/hooks/t0p-s3cret")
    with pytest.raises(ValidationError, match="begins with https://"):
        Config.model_validate({"notify": {"webhook": "file:///etc/passwd"}})
