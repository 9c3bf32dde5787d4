"""A check of the store: its rules are held against it, what was found is kept, and the gate decides.

A check that fails unexpectedly holds publication too: nothing says that the rules hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from parcours.pipelines.notices import Notices
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.quality.gate import State, Verdict, judge
from parcours.quality.standing import standing_rules
from parcours.quality.suites import DOCS, Finding, run_suites
from parcours.schemas.config import Config

CHECKED, PUBLISHED = "checked", "published"
"""The store's notes of what it held when it was last checked, and last published."""


@dataclass(frozen=True)
class GateState:
    """Whether what the store holds may be published, as the relation ``gate`` has it."""

    state: State
    reasons: tuple[str, ...]
    since: datetime
    decided_at: datetime
    run_id: str


@dataclass(frozen=True)
class Check:
    """What a check found, rule by rule, and what follows; no findings where it failed."""

    gate: GateState
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings of broken rules, those that hold publication first."""
        return tuple(
            sorted((found for found in self.findings if not found.passed), key=lambda f: f.rule.severity)
        )


def quality_folder(store: Path) -> Path:
    """Return where a store's suites, results and Data Docs are."""
    return store.with_name(f"{store.name}.quality")


def docs_page(config: Config) -> Path:
    """Return where the Data Docs of a store begin, once it was checked."""
    return quality_folder(Path(config.store.path)) / DOCS / "index.html"


def newest_gate(connection: duckdb.DuckDBPyConnection) -> GateState | None:
    """Return what the last check decided, or None where there was none."""
    row = connection.execute(
        "SELECT state, reasons, since, decided_at, run_id FROM gate ORDER BY decided_at DESC LIMIT 1"
    ).fetchone()
    return None if row is None else GateState(row[0], tuple(row[1]), *row[2:])


def committed(connection: duckdb.DuckDBPyConnection) -> str:
    """Return a text that is another one after each commit of data, or of other views; no clock decides."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM run_balances),"
        " (SELECT count(*) FROM quarantine WHERE status = 'open'),"
        " (SELECT list(value ORDER BY key) FROM internal.meta WHERE key LIKE 'made.%')"
    ).fetchone()
    return repr(row)


def is_due(store: Store, config: Config) -> bool:
    """Say whether a check would judge other data than the last one, or by other rules.

    Where a rule asks for the time, as freshness does, a check is due each ``[gate] every`` too.
    """
    last = newest_gate(store.connection)
    if last is None or store.meta(CHECKED) != _judged(store, config):
        return True
    by_the_clock = any(source.expected_every for source in config.source) or any(
        rule.kind == "freshness" for rule in config.rule.values()
    )
    return by_the_clock and _now() - last.decided_at >= config.gate.every


def _judged(store: Store, config: Config) -> str:
    """Return a fingerprint of what a check reads: what was committed, and what the config asks of it."""
    asked = config.model_dump_json(include={"rule", "gate", "taxonomy", "validation", "kpi"})
    sources = [(source.name, source.quarantine_share, source.expected_every) for source in config.source]
    return sha256(f"{committed(store.connection)} {asked} {sources}".encode()).hexdigest()


def check(
    store: Store, config: Config, run_id: str, *, observer: Observer, warn: Callable[[str], None]
) -> Check:
    """Hold the store against its rules, and keep what was found and decided.

    Args:
        store: is written to, in one transaction.
        config: whose rules count, and who is told.
        run_id: the run or check that the results belong to.
        observer: is told of the step, and of what was found.
        warn: takes what a person should know.

    Raises:
        duckdb.Error: the results could not be written.
    """
    now = _now()
    notices = Notices(config, warn)
    findings: tuple[Finding, ...] = ()
    observer.begin("quality")
    try:
        rules = standing_rules(config, now=now, relations=_relations(store.connection))
        found = run_suites(store.connection, rules, quality_folder(store.path), name=f"{now:%Y%m%dT%H%M%S%f}")
    except Exception as error:  # of any kind: what was loaded stands, whatever a library or a full disk says
        kind = type(error).__name__
        warn(f"the check failed, so publication is held: {kind}: {_first_line(error)}")
        notices.tell("failed", run_id, error=kind)
        verdict = Verdict("held", (f"check.failed: {kind}, expected a check that ends",))
    else:
        findings, verdict = tuple(found), judge(found)
    finally:
        observer.end("quality")
    last = newest_gate(store.connection)
    late = _late(findings)
    before = _broken_before(store, late) if late else set()
    newly_late = {rule: failed for rule, failed in late.items() if rule not in before}
    gate = _write(store, config, GateState(verdict.state, verdict.reasons, now, now, run_id), last, findings)
    _tell(notices, gate, last, findings, newly_late)
    observer.told("check", _told(gate, findings))
    return Check(gate, findings)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "no message"


def _relations(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_catalog = current_database() AND table_schema = 'main'"
        ).fetchall()
    }


def _write(
    store: Store, config: Config, decided: GateState, last: GateState | None, findings: tuple[Finding, ...]
) -> GateState:
    """Keep the findings and the decision; return it, with the time since when the state is what it is."""
    since = last.since if last is not None and last.state == decided.state else decided.decided_at
    connection = store.connection
    connection.execute("BEGIN")
    try:
        # a run that follows is checked for months: what passed before says nothing more
        connection.execute(
            "DELETE FROM quality_results WHERE run_id = ? AND relation <> 'slice' AND passed",
            [decided.run_id],
        )
        if findings:
            connection.executemany(
                "INSERT INTO quality_results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(found, decided) for found in findings],
            )
        connection.execute(
            "INSERT INTO gate VALUES (?, ?, ?, ?, ?)",
            [decided.decided_at, decided.run_id, decided.state, list(decided.reasons), since],
        )
        # a check that failed has judged nothing: the next one is due
        store.set_meta(CHECKED, _judged(store, config) if findings else "")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return GateState(decided.state, decided.reasons, since, decided.decided_at, decided.run_id)


def _row(found: Finding, gate: GateState) -> list[Any]:
    rule = found.rule
    observed = found.observed if found.error is None else f"not evaluated: {found.error}"
    return [
        *(gate.run_id, rule.name, rule.relation, rule.severity, found.passed, observed, rule.expected),
        *(found.failed, list(found.sample), rule.owner, gate.decided_at),
    ]


def _late(findings: tuple[Finding, ...]) -> dict[str, int]:
    """Return the broken rules that say that a source is late."""
    return {
        found.rule.name: found.failed
        for found in findings
        if not found.passed and found.rule.name.startswith("source.") and found.rule.name.endswith(".late")
    }


def _broken_before(store: Store, rules: Mapping[str, int]) -> set[str]:
    """Return those of the rules that were broken when they were last held against the store."""
    rows = store.connection.execute(
        "SELECT rule FROM quality_results WHERE list_contains(?, rule) GROUP BY rule"
        " HAVING NOT arg_max(passed, checked_at)",
        [list(rules)],
    ).fetchall()
    return {rule for (rule,) in rows}


def _tell(
    notices: Notices,
    gate: GateState,
    last: GateState | None,
    findings: tuple[Finding, ...],
    newly_late: Mapping[str, int],
) -> None:
    """Tell of changes alone."""
    before = "open" if last is None else last.state
    if gate.state != before:
        stops = {f.rule.name: f.failed for f in findings if not f.passed and f.rule.severity == "stop"}
        notices.tell("held" if gate.state == "held" else "released", gate.run_id, stops)
    if newly_late:
        notices.tell("late", gate.run_id, newly_late)


def _told(gate: GateState, findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "run_id": gate.run_id,
        "state": gate.state,
        "since": gate.since,
        "findings": [
            {
                "rule": found.rule.name,
                "relation": found.rule.relation,
                "column": None,
                "severity": found.rule.severity,
                "passed": found.passed,
                "failed": found.failed,
                "observed": found.observed,
                "expected": found.rule.expected,
            }
            for found in findings
        ],
    }
