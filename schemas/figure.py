"""The record of a figure: all that parcours knows of a KPI, as the catalogue and a user's config say it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Grain = Literal["day", "week", "month", "quarter", "year", "all"]
Kind = Literal[
    "count", "amount", "share", "ratio", "rate", "mean", "median", "p90", "nps", "lift", "conversion"
]

GRAINS: tuple[Grain, ...] = ("day", "week", "month", "quarter", "year")
"""The periods; a lift has one alone, ``all``: a test is judged by everybody who was exposed."""

INPUTS = ("contracts", "customers", "spend", "events_held", "indicators")
"""What a figure may need beside touchpoints; contracts are known from their signing too."""

CONFIGURED = ("segment", "value_cells")
"""Tables of the config that a figure may need."""

MEASURED = ("mean", "median", "p90")
"""Kinds that are computed from a ``measure``; the others have a numerator, and most a denominator."""

WITHOUT_DENOMINATOR = ("count", "amount")


class Words(BaseModel):
    """A text in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str = Field(min_length=1)
    fr: str = Field(min_length=1)


class Figure(BaseModel):
    """One figure.

    ``rows`` is a SELECT that gives what is counted, a row each. It reads relations as they stood at the
    instant that is asked about, limited to the persons and touchpoints that are asked about: those of
    ``parcours.kpis.scope.RELATIONS``; ``instant`` has that instant in its one column ``until``. Its columns:

    - ``numerator`` and ``denominator``, numbers or booleans; or ``measure``, for a mean, median or p90;
    - each name in ``dimensions``, ``always`` and ``numerator_dimensions``;
    - when: ``counted_at`` (UTC); for a standing figure also ``since`` and ``until`` (null: still); for a
      snapshot ``grain`` and ``period_start``, of ``periods``;
    - ``person`` where persons are counted, each once a row of the figure.

    ``$time_zone`` and each of ``options`` stand for their constants; ``$answers`` for the touchpoints that
    answer a survey, with ``after``, the event type of what the person met before; ``$counts_person`` for
    whether a ``profile_id`` is one of those asked about, where no relation of the scope is read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: str = Field(min_length=1, description="stage or chapter that it is listed under")
    kind: Kind = Field(description="how value comes from what is counted, and which interval it has")
    unit: Literal["count", "share", "money", "ratio", "days", "hours", "years", "points", "score"]
    numerator: str = Field(min_length=1, description="what is counted, in words")
    denominator: str | None = Field(
        default=None, description="of what, in words; absent for count and amount"
    )
    label: Words
    explanation: Words
    misread: Words | None = Field(default=None, description="how it can be misread")
    rows: str = Field(min_length=1, description="SQL that gives what is counted")
    dimensions: tuple[str, ...] = Field(default=(), description="what it may be cut by, beside total")
    numerator_dimensions: tuple[str, ...] = Field(
        default=(), description="what cuts the numerator alone: the denominator is the whole period's"
    )
    always: tuple[str, ...] = Field(default=(), description="what every row is cut by; currency for money")
    grains: tuple[Grain, ...] = GRAINS
    standing: Literal["start", "end"] | None = Field(
        default=None,
        description="rows with since and until count where they stand at each period's start or end",
    )
    snapshot: bool = Field(default=False, description="rows say their grain and period_start themselves")
    persons: bool = Field(default=False, description="distinct persons are counted, by the column person")
    apart: str | None = Field(
        default=None,
        description="a dimension whose row sets count rows of their own, by the column counts_in: cut, whole "
        "(where the others do) or null (all)",
    )
    parts: bool = Field(default=True, description="each row is in one group alone, so that groups add up")
    window: str = Field(
        default="0 days",
        pattern=r"^\d{1,4} (hours|days|months|years)$",
        description="how long after a period its rows may still change",
    )
    needs: tuple[str, ...] = Field(
        default=(), description="inputs, role:NAME, option:NAME or config:NAME without which it is not there"
    )
    options: tuple[str, ...] = Field(default=(), description="keys of [kpi] that rows name as $key")
    consent: str | None = Field(
        default=None, description="only touchpoints with consent to this purpose count"
    )

    @model_validator(mode="after")
    def _whole(self) -> Figure:
        problems = []
        if (self.denominator is None) != (self.kind in WITHOUT_DENOMINATOR):
            problems.append("count and amount have no denominator, the other kinds have one")
        if self.standing and (self.snapshot or self.persons or self.kind in ("median", "p90", "nps")):
            problems.append(
                "a standing figure is no snapshot, counts no distinct persons, and is no median, p90 or nps"
            )
        if self.persons and (self.kind not in ("count", "share") or self.numerator_dimensions or self.apart):
            problems.append("distinct persons are a count or a share, and are cut as a whole")
        if self.apart is not None and self.apart not in (*self.dimensions, *self.numerator_dimensions):
            problems.append(f'apart = "{self.apart}" is none of its dimensions')
        if ("all" in self.grains) != (self.kind == "lift"):
            problems.append('a lift has the one grain "all", and no other kind has it')
        if self.kind == "lift" and (self.always[:1] != ("experiment",) or len(self.always) < 2):
            problems.append('a lift is always cut by "experiment" first and by what is compared last')
        allowed = (*INPUTS, *(f"config:{name}" for name in CONFIGURED))
        names = (*self.dimensions, *self.numerator_dimensions, *self.always)
        if len(set(names)) < len(names) or "total" in names:
            problems.append("each dimension is named once, and none is called total")
        for need in self.needs:
            if need not in allowed and not need.startswith(("role:", "option:")):
                problems.append(
                    f'needs "{need}": write one of {", ".join(allowed)}, role:NAME or option:NAME'
                )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def additive(self) -> bool:
        """Whether the groups of a dimension add up to the total."""
        return self.kind in WITHOUT_DENOMINATOR and self.parts and not self.persons
