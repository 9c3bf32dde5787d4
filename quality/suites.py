"""The standing rules as suites of Great Expectations: run over the store, kept, and shown as Data Docs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from parcours.quality.standing import StandingRule, checked_rows

DOCS = Path("gx", "uncommitted", "data_docs", "local_site")
"""Where in its folder a check leaves the Data Docs; they begin with index.html."""

SAMPLE = 10
"""Ids of failing rows that are told."""

NOT_EVALUATED = "not evaluated"
"""What is observed of a rule whose SQL failed."""


@dataclass(frozen=True)
class Finding:
    """What became of one rule.

    ``failed`` counts failing rows, ``sample`` has the first ten of their ids in order. ``error`` says why the
    rule's SQL failed on the data, with a value of it perhaps: such a rule counts as broken.
    """

    rule: StandingRule
    passed: bool
    failed: int
    observed: str
    sample: tuple[str, ...]
    error: str | None


def run_suites(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[StandingRule], folder: Path, *, name: str
) -> list[Finding]:
    """Hold rules against the store's committed rows, a suite of Great Expectations for each relation.

    Args:
        connection: the store's own, outside a transaction. Views are computed once for all their rules.
        rules: what is held; their names are unique.
        folder: where suites, results and Data Docs are kept; see ``parcours.quality.checkpoint``.
        name: what the run is called in the Data Docs.

    Returns:
        What became of each rule, in the order of the rules.

    Raises:
        KeyboardInterrupt: a signal came, and the query at work was ended.
    """
    # in a thread of its own: a query keeps the thread that asks from every signal, for as long as it takes
    with closing(connection.cursor()) as cursor, ThreadPoolExecutor(1) as thread:
        work = thread.submit(_findings, cursor, rules, folder, name)
        try:
            return work.result()
        except BaseException:
            while not work.done():
                cursor.interrupt()
                wait([work], 0.1)
            raise


def _findings(
    cursor: duckdb.DuckDBPyConnection, rules: Sequence[StandingRule], folder: Path, name: str
) -> list[Finding]:
    unread = _compute_views(cursor, rules)
    readable = [rule for rule in rules if rule.relation not in unread]
    store = cursor.execute(
        "SELECT coalesce(path, ':memory:') FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchall()[0][0]
    results: dict[str, int | str] = {}
    if readable:
        with _silence():
            # seconds, and only who checks needs it
            from parcours.quality.checkpoint import run_checkpoint  # noqa: PLC0415

            results = run_checkpoint(cursor, store, readable, folder, name)
    return [_finding(cursor, rule, results.get(rule.name, unread.get(rule.relation, ""))) for rule in rules]


def _compute_views(cursor: duckdb.DuckDBPyConnection, rules: Sequence[StandingRule]) -> dict[str, str]:
    """Put what views give into temporary tables of their names; return why relations cannot be read."""
    views = {row[0] for row in cursor.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    unread = {}
    for relation in dict.fromkeys(rule.relation for rule in rules):
        quoted = '"' + relation.replace('"', '""') + '"'
        try:
            if relation in views:
                cursor.execute(f"CREATE TEMP TABLE {quoted} AS {checked_rows(relation, rules)}")
            else:
                cursor.execute(f"FROM {quoted} LIMIT 0")
        except duckdb.Error as error:
            unread[relation] = str(error).splitlines()[0]
    return unread


def _finding(cursor: duckdb.DuckDBPyConnection, rule: StandingRule, result: int | str) -> Finding:
    """Say what became of a rule, from the number of its failing rows or from what went wrong."""
    sample: tuple[str, ...] = ()
    try:
        if isinstance(result, str):
            # in DuckDB's own words, without those of the libraries around it
            cursor.execute(f"SELECT count(*) FROM ({rule.failing}\n)")
            return Finding(rule, False, 0, NOT_EVALUATED, (), result)
        if result:
            sample = _sample(cursor, rule)
        observed = f"{result:,} rows" if result != 1 else "1 row"
        if rule.observed is not None:
            observed = str(cursor.execute(rule.observed).fetchall()[0][0])
        return Finding(rule, not result, result, observed, sample, None)
    except duckdb.Error as error:
        return Finding(rule, False, 0, NOT_EVALUATED, (), str(error).splitlines()[0])


def _sample(cursor: duckdb.DuckDBPyConnection, rule: StandingRule) -> tuple[str, ...]:
    ids = cursor.execute(
        f"SELECT CAST(id AS VARCHAR) FROM ({rule.failing}\n) AS failing(id) ORDER BY 1 LIMIT {SAMPLE}"
    )
    return tuple(str(row[0]) for row in ids.fetchall())


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what libraries log and warn of to themselves: what a check found is told by its findings."""
    loggers = [logging.getLogger(name) for name in ("great_expectations", "sqlalchemy")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
