"""The models of ``parcours.toml``: every key, its default, its unit, what it does.

Reading files, layering them, resolving secrets and suggesting spellings is
``parcours.pipelines.config``'s work; these models only say what is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, get_args
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from parcours.schemas.duration import Duration, parse_duration
from parcours.schemas.figure import Figure
from parcours.schemas.rule import DeadLetters, Gate, Lineage, Notify, Publish, Rule
from parcours.schemas.segment import Audience, Segment, ValueCells

STAGES = ("awareness", "consideration", "purchase", "service", "loyalty", "advocacy")
"""The six stages in rank order; rank 1 is awareness, 0 is no stage."""

FORMATS = ("json", "csv", "parquet", "avro", "avro-confluent", "avro-single-object", "avro-file")


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f'"{name}" is not a time zone: write one such as Europe/Paris or UTC')
    return name


def _as_utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _no_glob(path: str) -> str:
    if set(path) & set("*?["):
        raise ValueError(f'"{path}" has one of * ? [, which DuckDB takes for a pattern: name it without')
    return path


def _has_directive(pattern: str) -> str:
    if "%" not in pattern:
        raise ValueError(f'"{pattern}" is no strptime pattern: write one such as %d/%m/%Y %H:%M')
    return pattern


DatePattern = Annotated[str, AfterValidator(_has_directive)]
FilePath = Annotated[str, AfterValidator(_no_glob)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Instant = Annotated[datetime, AfterValidator(_as_utc)]
Stage = Literal["awareness", "consideration", "purchase", "service", "loyalty", "advocacy"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(_Model):
    """Where the DuckDB file is, and how much of the machine a slice may use."""

    path: FilePath = Field(default="parcours.duckdb", description="the DuckDB file; made on the first run")
    memory_limit: str = Field(
        default="600MB", description="what DuckDB may hold in memory before it spills beside the store"
    )
    staging: FilePath | None = Field(
        default=None, description="folder for staged files; default: <path>.staging"
    )
    slice_records: int = Field(default=1_000_000, ge=1, description="most records in one slice")
    slice_bytes: int = Field(default=1_000_000_000, ge=1, description="most bytes of records in one slice")


class MapEntry(_Model):
    """Where one of our fields comes from. A plain string in the config is ``paths = [that string]``."""

    paths: tuple[str, ...] = Field(
        default=(), description="nested paths such as customer.id; the first non-null counts"
    )
    constant: str | None = Field(default=None, description="the same value for every record")
    lookup: dict[str, str] = Field(
        default={}, description="the source's word = ours; words not listed stay as they are"
    )
    nulls: tuple[str, ...] = Field(default=(), description="texts that mean null in this field")
    generate: Literal["hash", "row"] | None = Field(
        default=None,
        description="event_id only: @hash (SHA-256 of the mapped fields) or @row (file and ordinal)",
    )
    sql: str | None = Field(
        default=None,
        description="expression, in SQL, that makes the field's text of what the record gives for ours: "
        "each a text under its name, before look-ups, the field's own being what its paths gave",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value in ("@hash", "@row"):
                return {"generate": value[1:]}
            if value.startswith("@"):
                raise ValueError(f'"{value}" is no way to make an id: write @hash or @row')
            return {"constant": value[1:]} if value.startswith("=") else {"paths": (value,)}
        if isinstance(value, list | tuple):
            return {"paths": tuple(value)}
        if isinstance(value, dict) and "path" in value:
            value = {**value, "paths": (value["path"],)}
            del value["path"]
        return value


class Source(_Model):
    """One place that touchpoints, or a reference input, come from."""

    name: str = Field(min_length=1, max_length=128)
    kind: Literal["file", "kafka"]
    format: Literal["json", "csv", "parquet", "avro", "avro-confluent", "avro-single-object", "avro-file"]
    loads: Literal[
        "touchpoints", "customers", "contracts", "aliases", "spend", "events_held", "indicators", "targets"
    ] = Field(
        default="touchpoints", description="touchpoints, or the reference input that the records are of"
    )

    # files
    path: str | None = Field(default=None, description="a file or a glob; ** goes into subfolders")
    settle: Duration = Field(default=timedelta(0), description="a file changed more recently than this waits")
    on_replaced: Literal["error", "reload"] = Field(
        default="error", description="what to do when a read file was replaced"
    )
    encoding: Literal["utf-8", "cp1252", "iso-8859-15"] = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1, description="empty: quotes mean nothing")

    # how values are written, for files and topics alike
    decimal_mark: Literal[".", ","] = "."
    date_format: DatePattern | None = Field(
        default=None, description="strptime pattern, as %d/%m/%Y %H:%M; default: ISO 8601"
    )
    time_unit: Literal["s", "ms", "us"] | None = Field(
        default=None, description="unit of times given as numbers"
    )
    time_zone: Zone = Field(default="UTC", description="zone of times without an offset")
    nulls: tuple[str, ...] = Field(default=(), description="texts that mean null in every field")
    envelope: Literal["cloudevents", "debezium"] | None = None
    attributes: Literal["all"] | tuple[str, ...] = Field(
        default="all", description="which unknown fields are kept"
    )
    map: dict[str, MapEntry] = {}

    # kafka
    topics: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    start: Literal["earliest", "latest"] | Instant | None = Field(
        default=None, description="where the first run begins; must be said for a topic"
    )
    on_gap: Literal["stop", "record"] = Field(
        default="stop",
        description="when the log no longer has what was not yet read: stop, or note the gap and go on",
    )
    kafka: dict[str, Any] = Field(
        default={},
        repr=False,
        description="kafka-python consumer settings, security above all; passed through",
    )
    writer_schema: str | None = Field(default=None, description="an .avsc file, for format avro")
    schemas: str | None = Field(
        default=None, description="a folder of ID.avsc, or the registry's URL, for avro-confluent"
    )
    reader_schema: str | None = Field(
        default=None,
        description="an .avsc file that Avro records are resolved to; default: the writer's own fields",
    )

    expected_every: Duration | None = Field(
        default=None, description="this source delivers at least this often"
    )
    quarantine_share: float | None = Field(
        default=None, ge=0, le=1, description="as [gate] quarantine_share, for this source alone"
    )

    @property
    def numbers_rows(self) -> bool:
        """Whether equal rows of one file are events of their own: ``event_id = @hash`` of files."""
        entry = self.map.get("event_id")
        return self.kind == "file" and entry is not None and entry.generate == "hash"

    @model_validator(mode="before")
    @classmethod
    def _bootstrap_list(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = dict(value)
            for key in ("bootstrap", "topics"):
                if isinstance(value.get(key), str):
                    value[key] = tuple(part.strip() for part in value[key].split(","))
        return value

    @model_validator(mode="after")
    def _complete(self) -> Source:
        problems = source_problems(self.__dict__)
        if problems:
            raise ValueError("; ".join(problem for _, problem in problems))
        return self


def source_problems(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what a source's keys lack or contradict taken together.

    It stands apart from the model so that these mistakes are also found where a single key is wrong: a model
    stops before its last check then.

    Args:
        values: a source's keys as given; those that are absent count as null.

    Returns:
        The key that each mistake is about, and the mistake.
    """
    found = []
    kind, format_ = values.get("kind"), values.get("format")
    if values.get("reader_schema") and format_ in ("json", "csv", "parquet"):
        found.append(("reader_schema", f'reader_schema is for Avro, not for format "{format_}"'))
    if kind == "file":
        if not values.get("path"):
            found.append(("path", 'a file source needs path = "FILE or GLOB"'))
        if format_ in ("avro", "avro-confluent", "avro-single-object"):
            found.append(
                ("format", f'format "{format_}" is for topics; an Avro container file is "avro-file"')
            )
    elif kind == "kafka":
        if not values.get("topics"):
            found.append(("topics", 'a kafka source needs topics = ["TOPIC"]'))
        if not values.get("bootstrap"):
            found.append(("bootstrap", 'a kafka source needs bootstrap = "HOST:PORT"'))
        if values.get("start") is None:
            found.append(
                (
                    "start",
                    'a kafka source says where its first run begins: start = "earliest", "latest" or a time',
                )
            )
        if format_ in ("avro-file", "csv", "parquet"):
            found.append(("format", f'format "{format_}" is for files'))
        if format_ in ("avro", "avro-single-object") and not values.get("writer_schema"):
            found.append(("writer_schema", f'format "{format_}" needs writer_schema = "FILE.avsc"'))
        if format_ == "avro-single-object" and "://" in str(values.get("schemas")):
            found.append(("schemas", f'a registry has no fingerprints: "{format_}" needs schemas = "FOLDER"'))
        if format_ == "avro-confluent" and not values.get("schemas"):
            found.append(("schemas", 'format "avro-confluent" needs schemas = "FOLDER" or a registry\'s URL'))
    return found


MONEY_ROLES = ("revenue", "premium", "claim_paid", "claim_reserve")

ROLES = tuple(
    """touch visit email_delivered email_opened email_clicked quote_created cart_created contract_signed
    contract_terminated contract_renewed purchase claim_opened claim_closed claim_reopened complaint_opened
    complaint_acknowledged complaint_answered request_opened request_closed question_asked question_forwarded
    question_answered question_reminded survey_sent survey_answered review_posted referral_made
    referral_converted reference_willing member_voted meeting_attended panel_answered forum_posted
    listing_offered listing_asked listing_matched event_attended volunteer_joined volunteer_left
    loyalty_joined benefit_used customer_merged volunteer_invited""".split()  # noqa: SIM905, one name a line is 43 lines
)
"""The roles that formulas speak of. Users may add their own, so an unknown role is no mistake."""


class EventType(_Model):
    """What an event type means."""

    stage: Stage | None = None
    roles: tuple[str, ...] = ()
    money_role: Literal["revenue", "premium", "claim_paid", "claim_reserve"] | None = None


class Channel(_Model):
    """What a channel is."""

    medium: Literal["digital", "physical", "human", "mail"]
    direct: bool = False


class Taxonomy(_Model):
    """The organisation's words: event type to stage, roles and money role; channel to medium."""

    events: dict[str, EventType] = {}
    channels: dict[str, Channel] = {}
    # how the words came here is no rule: only the words are dumped, compared and shown
    events_file: str | None = Field(
        default=None,
        exclude=True,
        description="a CSV file of event types: event_type, stage, roles, money_role",
    )
    channels_file: str | None = Field(
        default=None, exclude=True, description="a CSV file of channels: channel, medium, direct"
    )


LAST_CONTRACT_ENDED = "last_contract_ended"
"""A word of ``journey.end_on`` beside event types and roles: the termination that leaves no contract held."""


class Journey(_Model):
    """How touchpoints are cut into journeys."""

    unit: Literal["profile", "product", "contract", "claim"] = "profile"
    gap: Duration | Literal["none"] = timedelta(days=400)
    end_on: tuple[str, ...] = Field(
        default=(LAST_CONTRACT_ENDED,),
        description="event types or roles that end a journey; last_contract_ended: the termination that "
        "leaves the person no contract; empty: nothing does",
    )


DEFAULT_LADDER = {
    "consumer": "purchases >= 1",
    "customer": "purchases >= 2 OR longest_in_force_years > 1",
    "loyal customer": "contracts_in_force >= 2 OR tenure_years >= 3",
    "advocate": "purchases >= 1 AND NOT holds_nothing_any_more"
    " AND (referrals >= 1 OR good_reviews >= 1 OR last_nps >= 9)",
}
"""The loyalty ladder: each rung and its condition, the lowest first; below all of them stands prospect."""


class Identity(_Model):
    """How devices are tied to customers."""

    max_customers_per_device: int = Field(default=3, ge=1)


class Validation(_Model):
    """Limits that every record is held against."""

    min_time: Instant = datetime(2000, 1, 1, tzinfo=UTC)
    max_future: Duration = timedelta(hours=24)
    max_record_bytes: int = Field(default=10_000_000, ge=1)
    ignored_ids: tuple[str, ...] = ("null", "none", "undefined", "nan", "0")


Engagement = Literal["value", "efficiency", "trust", "consistency", "relevance", "control"]


class Kpi(_Model):
    """How figures are cut into periods."""

    time_zone: Zone = "Europe/Paris"
    week_start: Literal["monday", "sunday"] = "monday"
    figures: Literal["all"] | tuple[str, ...] = Field(
        default="all",
        description="the figures, by name or phase, that the store has relations of; parcours kpi has all",
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="what is left of a euro of revenue or premium, to 1; return_on_investment needs it",
    )
    engagement_weights: dict[Engagement, float] = Field(
        default=dict.fromkeys(get_args(Engagement), 1.0),
        description="what each element weighs in engagement_index; one that is left out does not count",
    )
    word_of_mouth_sources: tuple[str, ...] = Field(
        default=("word_of_mouth", "referral"),
        description="sources of touchpoints that say that somebody was recommended to us",
    )


class Experiment(_Model):
    """How a test of variants is judged; a test that is not in the config is judged by the defaults."""

    control: str | None = Field(
        default=None,
        min_length=1,
        description="the variant that the others are compared with; default: the first by name",
    )
    minimum_sample: int = Field(
        default=1000, ge=1, description="exposed persons that a variant and the control need for a verdict"
    )


class Config(_Model):
    """One whole ``parcours.toml``."""

    store: Store = Store()
    source: tuple[Source, ...] = ()
    taxonomy: Taxonomy = Taxonomy()
    journey: Journey = Journey()
    identity: Identity = Identity()
    validation: Validation = Validation()
    kpi: Kpi = Kpi()
    ladder: dict[str, str] = Field(
        default=DEFAULT_LADDER,
        description="the loyalty ladder: rung = condition over a person's facts, the lowest first; the "
        "highest that holds counts",
    )
    segment: dict[str, Segment] = Field(default={}, description="segments of persons, by name")
    value_cells: ValueCells | None = Field(
        default=None, description="customers by value and potential: four cells; default: none"
    )
    audience: dict[str, Audience] = Field(
        default={},
        description="lists of persons to contact, by name; one replaces a ready-made one of its name",
    )
    experiment: dict[str, Experiment] = Field(
        default={}, description="how tests of variants are judged, by the name that touchpoints give them"
    )
    figure: dict[str, Figure] = Field(
        default={},
        description="figures of your own, beside those of the catalogue: records of the same shape",
    )
    rule: dict[str, Rule] = Field(
        default={}, description="rules of your own, by name, beside those that parcours has"
    )
    gate: Gate = Gate()
    publish: Publish = Publish()
    notify: Notify = Notify()
    dead_letters: DeadLetters | None = None
    lineage: Lineage | None = None

    @model_validator(mode="after")
    def _distinct_names(self) -> Config:
        names = [source.name for source in self.source]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources have one name: {', '.join(twice)}")
        return self


__all__ = [
    "FORMATS",
    "MONEY_ROLES",
    "ROLES",
    "STAGES",
    "Config",
    "Duration",
    "SecretStr",
    "parse_duration",
    "source_problems",
]
