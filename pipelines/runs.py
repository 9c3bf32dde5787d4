"""Runs over a store: load once, follow, rebuild, rewind, reset."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from parcours.pipelines import commit
from parcours.pipelines.commit import RunInfo
from parcours.pipelines.notices import Notices
from parcours.pipelines.observe import Observer
from parcours.pipelines.rules import fingerprint
from parcours.pipelines.slices import SliceLoop
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import RUNNER, RunResult
from parcours.schemas.config import Config
from parcours.transforms.sources.contract import Position
from parcours.transforms.sources.open import open_source

IDLE_SECONDS = 0.5
"""Pause between two looks at sources that have nothing new, while following."""


@contextmanager
def open_loop(
    config: Config,
    command: str,
    observer: Observer,
    runner: str,
    runner_options: Sequence[str],
    *,
    apply_rules: bool,
    stop: threading.Event | None = None,
) -> Iterator[SliceLoop]:
    """Open the store and a loop over it; close both whatever happens."""
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        loop = SliceLoop(store, config, command, observer, runner=runner, runner_options=runner_options)
        with loop.announced():
            try:
                loop.prepare(stop, apply_rules=apply_rules)
                observer.look(store.connection)
                yield loop
            except BaseException as error:
                with suppress(Exception):  # what went wrong is the news; the next run puts the ledger right
                    loop.finish("interrupted")
                if isinstance(error, Exception):
                    Notices(config, observer.warn).tell(
                        "failed", loop.result.run_id, error=type(error).__name__
                    )
                raise
            finally:
                loop.close()


def run(
    config: Config,
    *,
    follow: bool = False,
    apply_rules: bool = False,
    runner: str = RUNNER,
    runner_options: Sequence[str] = (),
    observer: Observer,
    stop: threading.Event,
) -> RunResult:
    """Load what there is to read; with ``follow``, until ``stop`` is set.

    With ``apply_rules``, rules that are not those of the store are first applied to all that it holds.
    A slice that was begun when ``stop`` is set is finished. ``RunResult.status`` is then ``interrupted``; it
    is ``held`` where all was loaded, and the check at the end holds publication.

    Raises:
        StoreHeldError: another process holds the store.
        RulesChangedError: the store was built with other rules, and they are not to be applied.
        SourceUnavailableError: a source cannot be read.
        LogStoppedError: a log is not the one that was read before.
        SliceFailedError: a slice failed several times.
    """
    with open_loop(
        config,
        "follow" if follow else "run",
        observer,
        runner,
        runner_options,
        apply_rules=apply_rules,
        stop=stop,
    ) as loop:
        if loop.result.rule_changes:
            loop.rebuild()
            observer.look(loop.connection)
        checked_at = time.monotonic()
        while not stop.is_set():
            done = loop.slice()
            if follow and time.monotonic() - checked_at >= config.gate.every.total_seconds():
                loop.check()
                checked_at = time.monotonic()
            if follow and done is None:
                loop.store.checkpoint()
                loop.outbox.send()  # of a broker that was away, though nothing new came
                stop.wait(IDLE_SECONDS)
            # a log that is written to all the time has no end: once is what stood there when it was planned
            if not follow and (done is None or not done.more):
                break
        interrupted = stop.is_set()
        loop.finish("interrupted" if interrupted else "done")
        if config.gate.at_end and (follow or not interrupted):
            loop.check_at_end()
        return loop.result


def rebuild(
    config: Config, *, runner: str = RUNNER, runner_options: Sequence[str] = (), observer: Observer
) -> RunResult:
    """Build every profile anew from the stored touchpoints, by the rules of ``config``, in one commit.

    Raises:
        StoreHeldError: another process holds the store.
    """
    with open_loop(config, "rebuild", observer, runner, runner_options, apply_rules=True) as loop:
        loop.rebuild()
        observer.look(loop.connection)
        loop.finish("done")
        if config.gate.at_end:
            loop.check_at_end()
        return loop.result


def rewind(
    config: Config, source: str, to: str, *, topic: str | None = None, partition: int | None = None
) -> dict[tuple[str, int], int]:
    """Set the committed offsets of a source back; what is read again is recognised by its ids.

    Args:
        config: names the store and the source.
        source: the source's name.
        to: ``earliest``, an offset, or a time in ISO 8601 (for topics: the first record at or after it).
        topic: only this topic or file.
        partition: only this partition.

    Returns:
        The new next offset by (topic, partition).

    Raises:
        ValueError: no such source, or nothing of it was read, or ``to`` is no offset or time.
        StoreHeldError: another process holds the store.
    """
    by_name = {item.name: item for item in config.source}
    if source not in by_name:
        raise ValueError(f'there is no source "{source}"; the config has {", ".join(by_name) or "none"}')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        committed = commit.read_offsets(store.connection, source)
        chosen = {
            key: position
            for key, position in committed.items()
            if topic in (None, key[0]) and partition in (None, key[1])
        }
        if not chosen:
            raise ValueError(f'nothing of source "{source}" was read yet: there is nothing to rewind')
        opened = open_source(by_name[source], config.validation)
        try:
            positions = opened.rewound(chosen, to)
        finally:
            opened.close()
        store.connection.execute("BEGIN")
        commit.write_offsets(
            store.connection, {(source, *key): position for key, position in positions.items()}
        )
        store.connection.execute("COMMIT")
        return {key: position.next_offset for key, position in positions.items()}


def reset(
    config: Config,
    source: str,
    *,
    topic: str | None = None,
    confirm: Callable[[Mapping[tuple[str, int], Position]], None],
) -> str:
    """Forget what was read of a source, so that its log is read as one that was never seen.

    For a log that is not the one that was read: another cluster, a topic made again, a log that was cut. What
    is loaded stays, and records that come again are recognised by their event ids.

    Args:
        config: names the store.
        source: the source's name, which the config may no longer have.
        topic: only this topic or file.
        confirm: is given what is to be forgotten, by (topic, partition); whatever it raises leaves the store
            as it is.

    Returns:
        The id under which the ledger has it.

    Raises:
        ValueError: nothing of the source was read.
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": there is nothing to forget')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        committed = commit.read_offsets(store.connection, source)
        chosen = {key: position for key, position in committed.items() if topic in (None, key[0])}
        if not chosen:
            known = store.connection.execute("SELECT DISTINCT source FROM internal.offsets ORDER BY ALL")
            of_topic = f', topic "{topic}",' if topic else ""
            read = sorted({name for name, _ in committed}) or [name for (name,) in known.fetchall()]
            raise ValueError(
                f'nothing of source "{source}"{of_topic} was read: there is nothing to forget; read was'
                f" {', '.join(read) or 'nothing'}"
            )
        confirm(chosen)
        run = RunInfo.begun("reset", fingerprint(store.meta("rules") or ""))
        store.connection.execute("BEGIN")
        commit.forget_log(store.connection, source, topic, run, run.started_at)
        store.connection.execute("COMMIT")
        return run.run_id
