"""What to do about a quarantined record: the command that usually helps, by the reason of its rejection."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

_OPTIONS = {
    "undecodable": ("--edit FILE", "put its bytes right, or discard it"),
    "encoding": ("--encoding cp1252", "say how its bytes are to be read"),
    "unknown_schema": ("--schemas FOLDER", "name a folder that has its schema"),
    "schema_mismatch": ("--reader-schema FILE", "name the schema that it is to be resolved to"),
    "missing_field": ("--map {field}=PATH", "say where it stands, or --default {field}=VALUE"),
    "wrong_type": ("--set {field}=SQL", "make it one; for numbers --decimal-mark, for times --time-unit"),
    "not_finite": ("--null {value}", "let it count as nothing"),
    "too_long": ("--set {field}=SQL", "make a shorter one"),
    "out_of_range": ("--set {field}=SQL", "make one in range"),
    "unknown_value": ("--lookup {field}:{value}=OURS", "say which of ours it is"),
    "pair_incomplete": ("--default {field}=VALUE", "say which it is where it is missing"),
    "invalid_time": ("--date-format PATTERN", "say how times are written; --time-zone in which zone"),
    "time_in_future": ("--set {field}=SQL", "put it right, or raise [validation] max_future and replay"),
    "reserved_id": ("--set {field}=SQL", "make another id"),
    "rule_failed": ("--set {field}=SQL", "make one that keeps the rule"),
    "csv.columns": ("--delimiter CHAR", "say what stands between its columns, or --edit FILE"),
}
"""By reason, or by rule where that says more: what to add to ``fix``, and what it does."""

_OTHERWISE = {
    "tombstone": "it has no contents to load: parcours quarantine discard --id {id}",
    "too_large": "its bytes were cut: raise [validation] max_record_bytes, then read it again with"
    " parcours rewind",
    "conflicting_duplicate": "the event was loaded with other contents. Give this one an id of its own with"
    " parcours quarantine fix --id {id} --edit FILE, or discard it",
}
"""Reasons that no reading of the record changes."""


def advice(record: Mapping[str, Any]) -> str:
    """Return what usually helps, with the command.

    Args:
        record: a row of ``quarantine``.
    """
    if record["status"] != "open":
        closed = f"by run {record['closed_by_run']}" if record["closed_by_run"] else "since"
        return f"it was {record['status']} {closed}: nothing is to be done"
    reason, short = record["reason"], record["quarantine_id"][:12]
    if reason in _OTHERWISE:
        return _OTHERWISE[reason].format(id=short)
    option, meaning = _OPTIONS.get(record["rule"]) or _OPTIONS[reason]
    names = {"field": record["field"] or "FIELD", "value": shlex.quote(str(record["value"])[:40])}
    told = f"{option.format(**names)} --dry-run   ({meaning.format(**names)})"
    return f"parcours quarantine fix --id {short} {told}"
