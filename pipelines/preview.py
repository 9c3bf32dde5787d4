"""What would become of quarantined records if they were tried again now: counted, and some field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow.compute as pc

from parcours.pipelines.replay import judge
from parcours.pipelines.rows import Row, rows_of
from parcours.schemas.config import Config

SAMPLES = 10
"""Records that a preview shows field by field."""

Fields = Mapping[str, Row]
"""By quarantine id, the fields of records that could be decoded."""


@dataclass(frozen=True)
class Preview:
    """What would become of the selected records.

    Attributes:
        records: how many there are.
        passing: of these, those that would pass.
        failing: of these, those that would be rejected again, by reason.
        skipped: of these, those that a replay does not try, by why.
        samples: the first of them: id, place, ``fields`` (name to before and after) and, where they would be
            rejected again, ``rule``, ``field``, ``value`` and ``message``, else null; ``fields`` has the one
            that breaks the rule alone then.
    """

    records: int
    passing: int
    failing: Mapping[str, int]
    skipped: Mapping[str, int]
    samples: Sequence[Row]


_SAMPLES = f"""
SELECT
    quarantine_id, source, source_topic, source_partition, source_offset, field AS was_field,
    -- of a pair the value is that of the other
    if(reason = 'pair_incomplete', NULL, value) AS was,
    NULL AS rule, NULL AS field, NULL AS value, NULL AS message
FROM quarantine SEMI JOIN selected USING (quarantine_id)
ORDER BY source, source_topic, source_partition, source_offset, quarantine_id LIMIT {SAMPLES}
"""


def fields_of_samples(connection: duckdb.DuckDBPyConnection, config: Config) -> Fields:
    """Return the fields of the first of the selected records, as they are read now."""
    connection.execute("CREATE OR REPLACE TEMP TABLE all_selected AS FROM selected")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE selected AS SELECT quarantine_id FROM ({_SAMPLES})")
    try:
        found: dict[str, Row] = {}
        for judged in judge(connection, config):
            table = judged.fields()
            found |= zip(judged.ids_of(table).to_pylist(), table.to_pylist(), strict=True)
        return found
    finally:
        connection.execute("CREATE OR REPLACE TEMP TABLE selected AS FROM all_selected")


def preview(
    connection: duckdb.DuckDBPyConnection, config: Config, before: Fields, touched: Collection[str] = ()
) -> Preview:
    """Try the selected records, fixes and all, and write nothing.

    Args:
        connection: an open store, with ``selected``.
        config: has the sources and the rules.
        before: the fields of the samples until now.
        touched: the fields that are shown; those that differ, and the one that broke the rule, are as well.

    Raises:
        UnknownSourceError: the config lacks a source of theirs.
        ValueError: a header or a schema cannot be used.
    """
    samples = {row["quarantine_id"]: {**row, "fields": {}} for row in rows_of(connection, _SAMPLES)}
    passing, failing = 0, Counter[str]()
    for judged in judge(connection, config):
        valid, rejected = judged.batch.touchpoints, judged.batch.rejected
        passing += valid.num_rows
        counts = pc.value_counts(rejected["reason"])
        failing.update({count["values"]: count["counts"] for count in counts.to_pylist()})
        for table in (valid, rejected):
            for at, id_ in enumerate(judged.ids_of(table).to_pylist() if samples else ()):
                if id_ in samples:
                    _note(samples[id_], table.slice(at, 1).to_pylist()[0], before.get(id_, {}), touched)
    skipped = connection.execute("SELECT why, count(*) FROM not_tried GROUP BY ALL ORDER BY ALL").fetchall()
    return Preview(
        records=passing + failing.total() + sum(count for _, count in skipped),
        passing=passing,
        failing=dict(failing.most_common()),
        skipped=dict(skipped),
        samples=[*samples.values()],
    )


def _note(sample: Row, after: Row, before: Row, touched: Collection[str]) -> None:
    """Note the fields of a record that passes, or why it does not and what stood in the field until now."""
    was = {**before, sample["was_field"]: sample["was"]}
    if "reason" in after:
        sample |= {name: after[name] for name in ("rule", "field", "value", "message")}
        sample["fields"] = {after["field"] or "record": (was.get(after["field"]), None)}
        return
    own = [*after][: [*after].index("source_name")]  # the coordinates stand behind
    sample["fields"] = {
        name: (was.get(name), after[name])
        for name in own
        if name in touched or (was.get(name) or None) != (after[name] or None)
    }
