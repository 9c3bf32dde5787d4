"""The simulator's output, read back with other parts than it was written with, against its manifest."""

import csv
import hashlib
import io
import json
import math
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import fastavro
import pytest
from kafka import KafkaConsumer, TopicPartition

from parcours.pipelines.simulate import Manifest, simulate, taxonomy
from parcours.pipelines.simulate.faults import faults
from parcours.pipelines.simulate.topic import TopicError
from parcours.schemas.config import STAGES
from parcours.schemas.touchpoint import REASONS, SURVEYS, avro_schema

EVENTS = 20_000
NAMES = [field["name"] for field in avro_schema()["fields"]]
SCHEMA = fastavro.parse_schema(avro_schema())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BrokenError(Exception):
    """A record that a reader refuses, with the reason."""


# Reading, one function a format: raw bytes to the touchpoint as a dictionary.


def from_json(raw):
    """Read one line; fields that are not ours are attributes."""
    constants = []
    try:
        found = json.loads(raw.decode(), parse_constant=constants.append)
    except UnicodeDecodeError:
        raise BrokenError("encoding") from None
    except ValueError:
        raise BrokenError("undecodable") from None
    if constants:
        raise BrokenError("not_finite")
    found["attributes"] = {name: found.pop(name) for name in list(found) if name not in NAMES}
    if isinstance(found.get("value"), str):
        raise BrokenError("wrong_type")
    return found


def from_csv(raw, names):
    """Read one line; empty cells are absent."""
    try:
        cells = next(csv.reader(io.StringIO(raw.decode())))
    except UnicodeDecodeError:
        raise BrokenError("encoding") from None
    if len(cells) != len(names):
        raise BrokenError("undecodable")
    cells = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    found = {name: cell for name, cell in cells.items() if name in NAMES}
    found["attributes"] = {name: cell for name, cell in cells.items() if name not in NAMES}
    found["consent"] = found.get("consent", "").split("|") if "consent" in found else []
    for name in ("value", "cost", "score"):
        if name in found:
            try:
                found[name] = float(found[name])
            except ValueError:
                raise BrokenError("wrong_type") from None
    return found


def from_avro(raw, prefix):
    """Read one datum after its prefix, to the last byte."""
    magic = {0: 0, 5: 1, 10: 2}[len(prefix)]
    if raw[:magic] != prefix[:magic]:
        raise BrokenError("undecodable")
    if raw[: len(prefix)] != prefix:
        raise BrokenError("unknown_schema")
    data = io.BytesIO(raw[len(prefix) :])
    try:
        found = fastavro.schemaless_reader(data, SCHEMA)
    except (EOFError, IndexError, UnicodeDecodeError):
        raise BrokenError("undecodable") from None
    if data.read():
        raise BrokenError("schema_mismatch")
    return flat(found)


def flat(found):
    """Leave out nulls, and make attributes a dictionary."""
    found["attributes"] = {pair["key"]: pair["value"] for pair in found["attributes"]}
    return {name: value for name, value in found.items() if value is not None}


def micros(value):
    """Return a time, text or number, as UTC microseconds."""
    if isinstance(value, int):
        return value
    try:
        delta = (datetime.fromisoformat(value) if isinstance(value, str) else value) - EPOCH
    except ValueError:
        raise BrokenError("invalid_time") from None
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def check(record):
    """Hold one record against the contract; refuse it with the reason of the rule it breaks."""
    required = ["event_id", "occurred_at", "event_type", "channel"]
    if not all(map(record.get, required)) or not any(map(record.get, ("customer_id", "anonymous_id"))):
        raise BrokenError("missing_field")
    if any(len(record.get(name, "")) > 128 for name in NAMES if name.endswith("_id")):
        raise BrokenError("too_long")
    if record.get("customer_id", "").startswith("anon:"):
        raise BrokenError("reserved_id")
    at = micros(record["occurred_at"])
    if not micros("2000-01-01T00:00:00Z") <= at < micros("2100-01-01T00:00:00Z"):
        raise BrokenError("invalid_time")
    if record.get("stage", "service") not in STAGES:
        raise BrokenError("unknown_value")
    for name in ("value", "cost", "score"):
        if name in record and not math.isfinite(record[name]):
            raise BrokenError("not_finite")
    for one, other in (("value", "currency"), ("survey", "score")):
        if (one in record) != (other in record):
            raise BrokenError("pair_incomplete")
    if "survey" in record:
        low, high = SURVEYS[record["survey"]]
        if record["score"] != int(record["score"]) or not low <= record["score"] <= high:
            raise BrokenError("out_of_range")
    return at


def account(records):
    """Count what a manifest counts, the slow and plain way.

    Args:
        records: functions that return one record each, or refuse it.
    """
    broken, contents, copies = Counter(), defaultdict(dict), 0
    for read in records:
        try:
            record = read()
            at = check(record)
        except BrokenError as error:
            broken[str(error)] += 1
            continue
        record["occurred_at"] = at
        record["consent"] = sorted(record.get("consent", []))
        for name in ("value", "cost", "score"):
            if name in record:
                record[name] = f"{record[name]:.4f}"
        canonical = json.dumps(record, sort_keys=True)
        key = at, hashlib.sha256(canonical.encode()).hexdigest()
        copies += key in contents[record["event_id"]]
        contents[record["event_id"]][key] = record
    events = [found[min(found)] for found in contents.values()]
    amounts = defaultdict(Decimal)
    met, alone = defaultdict(set), set()
    for event in events:
        role = taxonomy().events[event["event_type"]].money_role
        if role and "value" in event:
            amounts[event["currency"], role] += Decimal(event["value"])
        if "anonymous_id" in event:
            if "customer_id" in event:
                met[event["anonymous_id"]].add(event["customer_id"])
            else:
                alone.add(event["anonymous_id"])
    customers = {event["customer_id"] for event in events if "customer_id" in event}
    return {
        "records": len(records),
        "events": len(events),
        "exact_duplicates": copies,
        "conflicting_duplicates": sum(len(found) - 1 for found in contents.values()),
        "broken_by_reason": dict(broken),
        "customers": len(customers),
        "devices": len(met.keys() | alone),
        "links": sum("customer_id" in event and "anonymous_id" in event for event in events),
        "linked_devices": len(met),
        "shared_devices": sum(1 < len(who) <= 3 for who in met.values()),
        "over_limit_devices": sum(len(who) > 3 for who in met.values()),
        "profiles": len(customers) + sum(not 1 <= len(met[device]) <= 3 for device in alone),
        "by_event_type": dict(Counter(event["event_type"] for event in events)),
        "by_channel": dict(Counter(event["channel"] for event in events)),
        "by_stage": dict(Counter(taxonomy().events[event["event_type"]].stage for event in events)),
        "first_at": min(event["occurred_at"] for event in events),
        "last_at": max(event["occurred_at"] for event in events),
        "amounts": {key: amount for key, amount in amounts.items() if amount},
    }


def stated(manifest):
    """What the manifest says, in the shape of ``account``."""
    found = {name: getattr(manifest, name) for name in account_names()}
    found["first_at"], found["last_at"] = micros(manifest.first_at), micros(manifest.last_at)
    found["amounts"] = {
        (currency, role): Decimal(amount)
        for currency, roles in manifest.amounts.items()
        for role, amount in roles.items()
        if Decimal(amount)
    }
    return found


def account_names():
    """Name the figures that are compared as they stand."""
    plain = "records events exact_duplicates conflicting_duplicates broken_by_reason customers devices links"
    plain += " linked_devices shared_devices over_limit_devices profiles by_event_type by_channel by_stage"
    return plain.split()


def read_files(out, manifest, format_):
    """Return one reading function a record, and check the counts per file."""
    records = []
    for name, count in manifest.parts.items():
        data = (out / name).read_bytes()
        if format_ == "avro-file":
            blocks = fastavro.reader(io.BytesIO(data))
            found = [lambda record=record: flat(record) for record in blocks]
        elif format_ == "json":
            found = [lambda line=line: from_json(line) for line in data.split(b"\n")[:-1]]
        else:
            header, *lines = data.split(b"\n")[:-1]
            names = header.decode().split(",")
            found = [lambda line=line, names=names: from_csv(line, names) for line in lines]
        assert len(found) == count
        records += found
    return records


@pytest.fixture(scope="module", params=["json", "csv", "avro-file"])
def simulated(request, tmp_path_factory):
    """One small run of each file format: format, folder, manifest."""
    out = tmp_path_factory.mktemp(request.param)
    return request.param, out, simulate(EVENTS, 7, request.param, out)


def test_manifest_equals_a_plain_count_over_the_files(simulated):
    """Every figure of the manifest is what a reader with other parts arrives at."""
    format_, out, manifest = simulated
    assert account(read_files(out, manifest, format_)) == stated(manifest)
    assert manifest.records == EVENTS
    assert manifest == Manifest.read(out / "manifest.json")


def test_every_kind_of_fault_is_planted(simulated):
    """All kinds that the format can carry are there, about equally often."""
    format_, _, manifest = simulated
    counts = manifest.broken_by_kind
    assert {fault.kind for fault in faults(format_, topic=False)} == set(counts)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sum(counts.values()) == manifest.broken == EVENTS // 100
    assert set(manifest.broken_by_reason) <= set(REASONS)


def test_files_are_cut_evenly_and_whole(simulated):
    """Four files of equal size, none still marked as being written, and the reference inputs beside them."""
    _, out, manifest = simulated
    assert list(manifest.parts.values()) == [EVENTS // 4] * 4
    references = {f"{name}.csv" for name in manifest.references}
    assert {*manifest.parts, "manifest.json", *references} == {path.name for path in out.iterdir()}
    spend = list(csv.DictReader((out / "spend.csv").read_text().splitlines()))
    assert {row["channel"] for row in spend} <= set(taxonomy().channels)


def test_same_arguments_same_bytes(tmp_path):
    """A seed gives the same bytes again, compressed or not, and another seed other ones."""
    for format_, compression in (
        ("json", "gzip"),
        ("json", "zstd"),
        ("csv", None),
        ("avro-file", "zstandard"),
    ):
        folders = [tmp_path / f"{format_}-{compression}-{turn}" for turn in range(3)]
        for folder, seed in zip(folders, (3, 3, 4), strict=True):
            simulate(2_000, seed, format_, folder, files=2, compression=compression)
        first, again, other = ([path.read_bytes() for path in sorted(folder.iterdir())] for folder in folders)
        assert first == again
        assert not set(first) & set(other)


def test_formats_hold_the_same_events(tmp_path):
    """The format changes how events are written, not what happened."""
    events = []
    for format_ in ("json", "csv", "avro-file"):
        out = tmp_path / format_
        manifest = simulate(3_000, 5, format_, out, broken=0, late=0.1, compression=None)
        read = [record() for record in read_files(out, manifest, format_)]
        for record in read:
            record["occurred_at"] = micros(record["occurred_at"])
            record["consent"] = sorted(record.get("consent", []))
        events.append(read)
    assert events[0] == events[1] == events[2]


def test_log_is_in_order_of_arrival_and_some_of_it_is_late(tmp_path):
    """Most records are written seconds after they occurred; the late ones stand among much later ones."""
    manifest = simulate(5_000, 1, "avro-file", tmp_path, files=1, broken=0, duplicates=0, late=0.1)
    times = [micros(record()["occurred_at"]) for record in read_files(tmp_path, manifest, "avro-file")]
    newest, late = 0, 0
    for at in times:
        late += at < newest - 3_600_000_000
        newest = max(newest, at)
    assert 300 < late < 700


def test_story_is_plausible(simulated):
    """The funnel narrows, all stages and media are there, and the traps for careless readers too."""
    format_, out, manifest = simulated
    count = Counter(manifest.by_event_type)
    assert count["product_viewed"] > count["quote_created"] > count["contract_signed"] > 50
    assert count["newsletter_delivered"] > count["newsletter_opened"] > count["newsletter_clicked"] > 0
    assert count["complaint_opened"] > count["complaint_acknowledged"] >= count["complaint_answered"] > 0
    assert set(manifest.by_stage) == set(STAGES)
    assert set(manifest.by_channel) == set(taxonomy().channels)
    events = []
    for read in read_files(out, manifest, format_):
        try:
            record = read()
            check(record)
            events.append(record)
        except BrokenError:
            continue
    customers = {event.get("customer_id") for event in events}
    assert {"NA", "🦊-Zoë", "M" * 128, 'O\'Neil, "Zoé" \\ Cie'} <= customers
    instants = Counter((event.get("customer_id"), micros(event["occurred_at"])) for event in events)
    assert sum(times > 1 for times in instants.values()) > 100
    assert len({event.get("anonymous_id") for event in events}) > 100


def test_taxonomy_names_all_that_is_said(tmp_path):
    """A larger run says every event type of the taxonomy, but for the two that it leaves to others."""
    manifest = simulate(120_000, 2, "avro-file", tmp_path)
    assert set(taxonomy().events) - set(manifest.by_event_type) == {"cart_created", "customer_merged"}
    assert set(taxonomy().channels) == set(manifest.by_channel)
    assert manifest.over_limit_devices > 0
    assert manifest.shared_devices > 0


ROLES = """touch visit email_delivered email_opened email_clicked quote_created cart_created contract_signed
contract_terminated contract_renewed purchase claim_opened claim_closed claim_reopened complaint_opened
complaint_acknowledged complaint_answered request_opened request_closed question_asked question_forwarded
question_answered question_reminded survey_sent survey_answered review_posted referral_made referral_converted
reference_willing member_voted meeting_attended panel_answered forum_posted listing_offered listing_asked
listing_matched event_attended volunteer_joined volunteer_left loyalty_joined benefit_used customer_merged
volunteer_invited"""


def test_taxonomy_covers_every_role():
    """Each role that formulas speak of is given to some event type, and no other role is."""
    given = {role for event in taxonomy().events.values() for role in event.roles}
    assert given == set(ROLES.split())
    money = {event.money_role for event in taxonomy().events.values()} - {None}
    assert money == {"revenue", "premium", "claim_paid", "claim_reserve"}
    assert {channel.medium for channel in taxonomy().channels.values()} == {
        "digital",
        "physical",
        "human",
        "mail",
    }


@pytest.mark.parametrize("events", [1, 2, 50, 999])
def test_any_number_of_records(events, tmp_path):
    """Small numbers give exactly that many records, in more files than records if need be."""
    manifest = simulate(events, 1, "json", tmp_path, files=3)
    assert len(read_files(tmp_path, manifest, "json")) == events == sum(manifest.parts.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "avro"}, '"avro" is not a format for files: choose one of json, csv, avro-file'),
        ({"format": "csv", "topic": "t", "bootstrap": "h:1"}, '"csv" is not a format for a topic'),
        ({"format": "json", "topic": "t"}, "a topic needs its broker"),
        ({"format": "json", "compression": "lz4"}, '"lz4" does not compress json: choose one of gzip, zstd'),
        ({"format": "json", "events": 0}, r"events \(0\)"),
        ({"format": "json", "broken": 0.9}, "at most 0.3"),
        ({"format": "json", "out": None}, '"json" needs an output folder'),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(arguments, message, tmp_path):
    """A mistake says what is wrong and what is allowed, and leaves no folder behind."""
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=message):
        simulate(**{"events": 10, "seed": 1, "out": out} | arguments)
    assert not out.exists()


def test_earlier_output_is_not_mixed_with_new(tmp_path):
    """A folder with output is refused: two runs' files side by side would fit no manifest."""
    simulate(10, 1, "json", tmp_path)
    with pytest.raises(FileExistsError, match="remove it or choose another folder"):
        simulate(10, 2, "json", tmp_path)


def test_progress_is_told(tmp_path):
    """The last call names all records."""
    told = []
    simulate(60_000, 1, "csv", tmp_path, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 60_000
    assert len(told) > 1


TOPIC_PREFIX = {
    "avro": b"",
    "avro-confluent": b"\x00\x00\x00\x00\x01",
    "avro-single-object": bytes.fromhex("c301ed329d13b081a7f1"),
}


@pytest.mark.kafka
@pytest.mark.parametrize("format_", ["json", *TOPIC_PREFIX])
def test_manifest_equals_a_plain_count_over_the_topic(format_, kafka, tmp_path):
    """To a topic go the same figures, every kind of fault, and each person's records to one partition."""
    topic = f"simulated-{format_}"
    manifest = simulate(
        EVENTS, 7, format_, tmp_path, bootstrap=kafka.bootstrap, topic=topic, partitions=3, compression="zstd"
    )
    values, counts, where = [], Counter(), defaultdict(set)
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, partition) for partition in range(3)])
    while len(values) < EVENTS:
        polled = consumer.poll(timeout_ms=10_000)
        assert polled, f"the topic ends after {len(values)} records"
        for message in (message for batch in polled.values() for message in batch):
            values.append(message.value)
            counts[f"{topic}[{message.partition}]"] += 1
            where[message.key].add(message.partition)
    consumer.close()

    def read(raw):
        if raw is None:
            raise BrokenError("tombstone")
        return from_json(raw) if format_ == "json" else from_avro(raw, TOPIC_PREFIX[format_])

    assert account([lambda raw=raw: read(raw) for raw in values]) == stated(manifest)
    assert dict(counts) == manifest.parts
    assert {len(partitions) for partitions in where.values()} == {1}
    assert {fault.kind for fault in faults(format_, topic=True)} == set(manifest.broken_by_kind)
    assert 0 not in manifest.broken_by_kind.values()
    if format_ != "json":
        assert json.loads((tmp_path / "schemas" / "1.avsc").read_text()) == avro_schema()


@pytest.mark.kafka
def test_topic_that_cannot_be_written_to(kafka):
    """No topic, another number of partitions, no broker: each says so and what to do."""
    with pytest.raises(TopicError, match='no topic "absent"'):
        simulate(10, 1, "json", bootstrap=kafka.bootstrap, topic="absent")
    kafka.create_topic("narrow", 1)
    with pytest.raises(TopicError, match='topic "narrow" has 1 partitions, not 4'):
        simulate(10, 1, "json", bootstrap=kafka.bootstrap, topic="narrow", partitions=4)
    with pytest.raises(TopicError, match=r"cannot write to topic narrow at 127\.0\.0\.1:1"):
        simulate(
            10, 1, "json", bootstrap="127.0.0.1:1", topic="narrow", kafka={"bootstrap_timeout_ms": 1_000}
        )
