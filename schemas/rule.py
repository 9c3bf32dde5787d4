"""A rule of a user's config, and how strict the gate is."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parcours.schemas.duration import Duration

Severity = Literal["reject", "warn", "stop"]

RuleKind = Literal[
    "not_null",
    "in_set",
    "regex",
    "range",
    "condition",
    "unique",
    "reference",
    "order",
    "freshness",
    "volume",
    "share",
    "completeness",
    "sql",
]

ROW_KINDS = ("not_null", "in_set", "regex", "range", "condition")
"""Kinds that read one row alone: only these may reject, as any other reject would depend on arrival."""

KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "not_null": (("column",), ("where",)),
    "in_set": (("column", "values"), ("where",)),
    "regex": (("column", "pattern"), ("where",)),
    "range": (("column",), ("min", "max", "where")),
    "condition": (("condition",), ("where",)),
    "unique": (("columns",), ("where",)),
    "reference": (("column", "to"), ("where",)),
    "order": (("before", "after"), ("where",)),
    "freshness": (("within",), ("source",)),
    "volume": ((), ("deviations", "weeks", "time", "where")),
    "share": (("column", "value"), ("min", "max", "where")),
    "completeness": (("column", "min"), ("by", "where")),
    "sql": (("sql",), ()),
}
"""By kind: the keys it needs, and those it may have."""


class Rule(BaseModel):
    """What must be true of a relation's rows, and what follows where it is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: str = Field(description="the relation, as touchpoints, contracts, ref_customers or kpi_csat")
    kind: RuleKind = Field(description="what is held against it")
    severity: Severity = Field(
        default="warn",
        description="reject: the record goes to the quarantine (kinds that read one row alone); warn; stop: "
        "nothing is published",
    )
    owner: str = Field(default="", description="who is to be asked; told with every finding")
    english: str | None = Field(default=None, description="what is right, in a sentence; default: made of it")
    french: str | None = Field(default=None, description="the same in French")
    where: str | None = Field(default=None, description="condition, in SQL: only rows that fit it are judged")
    column: str | None = Field(default=None, description="the column that is judged; null passes")
    columns: tuple[str, ...] = Field(default=(), description="unique: the columns that name a row")
    values: tuple[str, ...] = Field(default=(), description="in_set: the allowed words")
    pattern: str | None = Field(default=None, description="regex: what the whole text must fit (RE2)")
    min: float | str | None = Field(default=None, description="the least, itself allowed; times as text")
    max: float | str | None = Field(default=None, description="the most, itself allowed; times as text")
    condition: str | None = Field(
        default=None, description="what is true of a right row, in SQL; null passes"
    )
    to: str | None = Field(default=None, description="reference: RELATION.COLUMN that knows the value")
    before: str | None = Field(default=None, description="order: the column of the earlier time")
    after: str | None = Field(default=None, description="order: the column of the later time")
    within: Duration | None = Field(default=None, description="freshness: an event at most this old, as 6h")
    source: str | None = Field(default=None, description="freshness: the source; default: each of them")
    deviations: float = Field(
        default=3.0, gt=0, description="volume: standard deviations that a day may be off"
    )
    weeks: int = Field(default=8, ge=3, description="volume: how many past days of one weekday are compared")
    time: str | None = Field(default=None, description="volume: the column of time; default: the relation's")
    value: str | None = Field(default=None, description="share: the value whose share of rows is bounded")
    by: str = Field(default="channel", description="completeness: the column whose groups are judged apart")
    sql: str | None = Field(
        default=None, description="a query: each row that it gives is a failure, its first column an id"
    )

    @model_validator(mode="after")
    def _of_kind(self) -> Rule:
        needed, allowed = KEYS[self.kind]
        for key in needed:
            if getattr(self, key) in (None, ()):
                raise ValueError(f'kind = "{self.kind}" needs {key}')
        general = {"on", "kind", "severity", "owner", "english", "french"}
        for key in sorted(self.model_fields_set - general - {*needed, *allowed}):
            if getattr(self, key) != type(self).model_fields[key].default:  # a config that is shown has all
                raise ValueError(f'kind = "{self.kind}" has no {key}: {", ".join([*needed, *allowed])}')
        if self.kind in ("range", "share") and self.min is None and self.max is None:
            raise ValueError(f'kind = "{self.kind}" needs min, max or both')
        if self.severity == "reject" and self.kind not in ROW_KINDS:
            raise ValueError(
                f'kind = "{self.kind}" reads several rows, so a reject would depend on the order of arrival: '
                'write severity = "warn" or "stop"'
            )
        return self


class Gate(BaseModel):
    """When the checks run, and what holds publication besides the rules that say stop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_end: bool = Field(default=True, description="whether run checks the store at its end")
    every: Duration = Field(
        default=timedelta(minutes=10), description="how often run --follow checks the store"
    )
    figures: tuple[str, ...] = Field(
        default=("stage_conversion",),
        description="figures whose rows are checked too; each is computed for it",
    )
    quarantine_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="more than this share of a source's records of one run and day in quarantine holds",
    )
    quarantine_least: int = Field(
        default=100, ge=1, description="fewer records in quarantine than this never hold"
    )
    far_past: Duration = Field(
        default=timedelta(days=31),
        description="how long after the time by which 99.9 % of the events had occurred the newest may be",
    )


class Publish(BaseModel):
    """Where the copy is that BI tools open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        default=None,
        description="the link to the newest copy; default: beside the store, NAME.published.duckdb",
    )
    after_check: bool = Field(
        default=False, description="whether run publishes by itself when its check allows it"
    )
    keep: int = Field(default=2, ge=1, description="copies that are kept, the newest among them")


Notice = Literal["held", "released", "failed", "late"]


class Notify(BaseModel):
    """Who is told when publication is held or released, a run failed, or a source is late."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: tuple[str, ...] = Field(default=(), description="a command, given the notice as JSON on stdin")
    webhook: str | None = Field(
        default=None, repr=False, description="a URL that the notice is posted to as JSON"
    )
    on: tuple[Notice, ...] = Field(default=get_args(Notice), description="what is told")

    @field_validator("webhook")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("a webhook is an address that begins with https:// or http://")
        return value


class DeadLetters(BaseModel):
    """A Kafka topic that rejected records are sent to as well, at least once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    bootstrap: tuple[str, ...]
    kafka: dict[str, str | int | bool] = Field(
        default={}, repr=False, description="kafka-python producer settings, security above all"
    )

    @model_validator(mode="before")
    @classmethod
    def _bootstrap_list(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("bootstrap"), str):
            return {**value, "bootstrap": tuple(part.strip() for part in value["bootstrap"].split(","))}
        return value


class Lineage(BaseModel):
    """Where OpenLineage run events go: an address, a file, or both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(
        default=None,
        repr=False,
        description="the address that takes the events; without a path, /api/v1/lineage of it",
    )
    api_key: str | None = Field(default=None, repr=False, description="sent to the address as a bearer token")
    file: str | None = Field(default=None, description="a file that each event is appended to, a line each")
    namespace: str = Field(default="parcours", description="the namespace of the jobs")

    @model_validator(mode="after")
    def _somewhere(self) -> Lineage:
        if self.url is None and self.file is None:
            raise ValueError("needs url, file or both")
        if self.url is not None and not re.match(r"https?://[^/?#]+", self.url):
            raise ValueError('url should be an address, as "http://localhost:5000"')
        if self.api_key is not None and self.url is None:
            raise ValueError("api_key is for url, which is missing")
        return self
