"""Exit codes, and the one place where an error becomes a message and a code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import click

from parcours.pipelines.log import JsonLog
from parcours.pipelines.secrets import Secrets

DONE = 0
FAILED = 1
USAGE = 2
CONFIGURATION = 3
HELD = 4
LOG_STOPPED = 5
NOT_PUBLISHED = 6
WARNED = 7
NOTHING_TO_DO = 10
INTERRUPTED = 130

EXIT_CODES = {
    DONE: "done, or nothing to do",
    FAILED: "failed",
    USAGE: "the command line is wrong",
    CONFIGURATION: "the configuration is wrong, or a source cannot be reached",
    HELD: "another process holds the store",
    LOG_STOPPED: "stopped by the log: a gap, a re-created topic, a replaced file",
    NOT_PUBLISHED: "done, but publication is held",
    WARNED: "checked, with warnings",
    NOTHING_TO_DO: "nothing to do, with --exit-nothing",
    INTERRUPTED: "interrupted",
}

ERRORS = {
    "parcours.pipelines.mistakes.ConfigError": CONFIGURATION,
    "parcours.transforms.sources.contract.SourceUnavailableError": CONFIGURATION,
    "parcours.transforms.avro_schemas.RegistryUnavailableError": CONFIGURATION,
    "parcours.pipelines.rules.RulesChangedError": CONFIGURATION,
    "parcours.pipelines.judging.UnknownSourceError": CONFIGURATION,
    "parcours.pipelines.lock.StoreHeldError": HELD,
    "parcours.transforms.sources.contract.LogStoppedError": LOG_STOPPED,
    "parcours.pipelines.slices.SliceFailedError": FAILED,
    "parcours.pipelines.store.StoreVersionError": FAILED,
    "parcours.pipelines.store.DiskSpaceError": FAILED,
    "parcours.serving.publish.PublishError": FAILED,
    "parcours.pipelines.simulate.topic.TopicError": CONFIGURATION,
    "builtins.FileNotFoundError": FAILED,
}
"""Errors whose message is written for people, by full name: importing their modules here would load DuckDB
and pyarrow for ``--help``."""


@dataclass
class Session:
    """What holds for one invocation.

    Attributes:
        debug: show tracebacks.
        json: a program reads stdout; an error is an object there too.
        secrets: masks whatever is said; replaced by the config's once it is loaded.
        log: the structured log, where ``--log-format json`` asks for one: all of stderr goes there.
    """

    debug: bool = False
    json: bool = False
    secrets: Secrets = field(default_factory=Secrets)
    log: JsonLog | None = None

    def mask(self, text: str) -> str:
        """Hide the secrets that are known by now."""
        return self.secrets.mask(text)

    def say(self, text: str, event: str = "message", **fields: Any) -> None:
        """Write a line to stderr, secrets masked; in a structured log, as an event with its fields."""
        if self.log is not None:
            self.log.write(event, {"message": text, **fields})
            return
        print(self.mask(text), file=sys.stderr, flush=True)


def describe(error: BaseException) -> tuple[int, str]:
    """Return the exit code for an error, and what to say of it."""
    for kind in type(error).__mro__:
        code = ERRORS.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return code, str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return FAILED, f"{type(error).__name__}: {lines[0] if lines else 'no message'} (--debug shows where)"


def run_guarded(command: click.Command, argv: Sequence[str] | None) -> int:
    """Run a command; turn whatever ends it into an exit code and a message of a few lines."""
    session = Session()
    try:
        result = command.main(args=argv, prog_name="parcours", standalone_mode=False, obj=session)
    except click.UsageError as error:
        if session.log is None:
            error.show()
        else:
            session.say(error.format_message(), "error", exit_code=USAGE)
        _tell(session, USAGE, error.format_message())
        return USAGE
    except click.ClickException as error:
        return _fail(session, FAILED, error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return _fail(session, INTERRUPTED, "interrupted")
    except BrokenPipeError:
        # whoever read stdout has seen enough; without this, the interpreter's own flush complains at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # the last resort: no error may reach people as a traceback
        if session.debug:
            session.say("".join(traceback.format_exception(error)).rstrip(), "traceback")
        _clear_frames(error)
        return _fail(session, *describe(error), getattr(error, "details", {}))
    return result if isinstance(result, int) else DONE


def _clear_frames(error: BaseException | None) -> None:
    """Let go of what the frames of an error hold.

    A Kafka client's thread keeps the error that it met, and with it the store, for as long as it lives: at
    exit DuckDB would list on stderr, line by line, what was never freed.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _fail(session: Session, code: int, text: str, details: Mapping[str, Any] = MappingProxyType({})) -> int:
    if session.log is not None:
        session.say(text, "error", exit_code=code)
    else:
        session.say(f"error: {text}" if code != INTERRUPTED else text)
    _tell(session, code, text, details)
    return code


def _tell(session: Session, code: int, text: str, details: Mapping[str, Any] = MappingProxyType({})) -> None:
    if session.json:
        failure = {"status": "failed", "exit_code": code, "error": session.secrets.mask(text), **details}
        print(json.dumps(failure, ensure_ascii=False))
