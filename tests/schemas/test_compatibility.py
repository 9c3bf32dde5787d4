"""Whether one Avro schema reads another's data: rule by rule, on published vectors, and against fastavro."""

import io
import json

import fastavro
import pytest
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st

from parcours.schemas.compatibility import PROMOTIONS, incompatibilities
from parcours.transforms.avro_resolution import ResolutionError, compile_reader
from parcours.transforms.avro_schemas import parse


def record(*fields, name="io.t.Top", **more):
    """Make a record schema of (name, type) or (name, type, further keys)."""
    made = [{"name": n, "type": t, **(extra[0] if extra else {})} for n, t, *extra in fields]
    return {"type": "record", "name": name, "fields": made, **more}


def enum(*symbols, name="Kind", **more):
    """Make an enum schema."""
    return {"type": "enum", "name": name, "symbols": symbols, **more}


def fixed(size, name="Hash", **more):
    """Make a fixed schema."""
    return {"type": "fixed", "name": name, "size": size, **more}


def decimal(precision, scale, **more):
    """Make a decimal schema."""
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale, **more}


def logical(kind, name):
    """Make a logical type."""
    return {"type": kind, "logicalType": name}


def found(writer, reader):
    """Give the incompatibilities of two schemas."""
    return incompatibilities(parse(json.dumps(writer), "writer"), parse(json.dumps(reader), "reader"))


NODE = record(("label", "string"), ("next", ["null", "Node"]), name="Node")
LONGER_NODE = record(
    ("label", "string"), ("next", ["null", "Node"]), ("size", "int", {"default": 0}), name="Node"
)
SHOP, OTHER_SHOP = (record(("id", "string"), name=f"{space}.Shop") for space in ("a", "b"))
WIDE_SHOP = record(("id", "string"), ("town", "string"), name="b.Shop")

COMPATIBLE = {
    "the same": (record(("a", "int")), record(("a", "int"))),
    "int is read as long": ("int", "long"),
    "int is read as double": ("int", "double"),
    "long is read as float": ("long", "float"),
    "float is read as double": ("float", "double"),
    "string is read as bytes": ("string", "bytes"),
    "bytes are read as string": ("bytes", "string"),
    "a field removed": (record(("a", "int"), ("b", "int")), record(("a", "int"))),
    "a field added with a default": (
        record(("a", "int")),
        record(("b", "int", {"default": 1}), ("a", "int")),
    ),
    "a null default": (record(("a", "int")), record(("a", "int"), ("b", ["null", "int"], {"default": None}))),
    "a field renamed": (record(("old", "int")), record(("new", "long", {"aliases": ["older", "old"]}))),
    "the name beside the alias": (
        record(("old", "string"), ("new", "int")),
        record(("new", "int", {"aliases": ["old"]})),
    ),
    "fields in another order": (record(("a", "int"), ("b", "string")), record(("b", "string"), ("a", "int"))),
    "a record renamed": (record(("a", "int")), record(("a", "int"), name="New", aliases=["io.t.Top"])),
    "a namespace changed": (record(("a", "int")), record(("a", "int"), name="org.Top")),
    "made nullable": ("string", ["null", "string"]),
    "a union in another order": (["string", "int", "null"], ["null", "int", "string"]),
    "a union with more": (["null", "int"], ["string", "null", "double", "boolean"]),
    "a union of promotions": (["int", "long"], "double"),
    "one of two records of a name": ([SHOP, OTHER_SHOP], [WIDE_SHOP | {"name": "c.Other"}, OTHER_SHOP, SHOP]),
    "symbols added": (enum("A"), enum("B", "A")),
    "symbols removed, with a default": (enum("A", "B"), enum("A", default="A")),
    "items promoted": ({"type": "array", "items": "int"}, {"type": "array", "items": ["null", "long"]}),
    "values promoted": ({"type": "map", "values": "float"}, {"type": "map", "values": "double"}),
    "recursive": (NODE, LONGER_NODE),
    "the same decimal": (decimal(8, 2), decimal(8, 2)),
    "a logical type added": ("long", logical("long", "timestamp-millis")),
    "a logical type removed": (logical("int", "date"), "int"),
    "an unknown logical type": (logical("string", "colour"), logical("string", "smell")),
    "a decimal that is none": ({"type": "bytes", "logicalType": "decimal"}, decimal(8, 2)),
}


@pytest.mark.parametrize("case", COMPATIBLE)
def test_what_goes_together(case):
    """The specification's promotions, defaults, aliases, unions and names hold."""
    assert [] == found(*COMPATIBLE[case])


INCOMPATIBLE = {
    "another type": (
        record(("a", "string")), record(("a", "double")),
        ("Top.a", "string", "double", "types do not match", "bytes"),
    ),
    "no way back from long": ("long", "int", ("int", "long", "int", "types do not match", "float")),
    "no default": (
        record(("a", "int")), record(("a", "int"), ("b", "string")),
        ("Top.b", "absent", "string", "no default", "alias"),
    ),
    "null for what is not nullable": (
        record(("a", ["null", "int"])), record(("a", "int")),
        ("Top.a", "null", "int", "may be null", "union of null and int"),
    ),
    "no branch": (
        record(("a", ["null", "boolean"])), record(("a", ["null", "string"])),
        ("Top.a", "boolean", "null or string", "no branch", "add boolean"),
    ),
    "symbols removed": (
        record(("a", enum("A", "B", "C"))), record(("a", enum("B"))),
        ("Top.a", "enum io.t.Kind", "enum io.t.Kind", "no symbol A, C", "default"),
    ),
    "another size": (
        fixed(8), fixed(16),
        ("Hash", "fixed Hash of 8 bytes", "fixed Hash of 16 bytes", "sizes differ", "keep 8 bytes"),
    ),
    "another name": (
        fixed(8), fixed(8, "Digest"),
        ("Digest", "fixed Hash of 8 bytes", "fixed Digest of 8 bytes", "names", 'alias "Hash"'),
    ),
    "items": (
        record(("a", {"type": "array", "items": record(("x", "int"), name="In")})),
        record(("a", {"type": "array", "items": record(("x", "boolean"), name="In")})),
        ("Top.a[].x", "int", "boolean", "types do not match", "long"),
    ),
    "values": (
        {"type": "map", "values": "string"}, {"type": "map", "values": "int"},
        ("map{}", "string", "int", "types do not match", "bytes"),
    ),
    "another scale": (
        record(("a", decimal(8, 2))), record(("a", decimal(8, 3))),
        ("Top.a", "bytes (decimal(8, 2))", "bytes (decimal(8, 3))", "precision and scale", "name of its own"),
    ),
    "another unit": (
        record(("a", logical("long", "timestamp-millis"))),
        record(("a", logical("long", "timestamp-micros"))),
        ("Top.a", "long (timestamp-millis)", "long (timestamp-micros)", "another value", "keep"),
    ),
    "inside a recursive type": (
        NODE, record(("label", "int"), ("next", ["null", "Node"]), name="Node"),
        ("Node.label", "string", "int", "types do not match", "bytes"),
    ),
    "one of two records of a name": (
        record(("s", [SHOP, OTHER_SHOP])), record(("s", [SHOP, WIDE_SHOP])),
        ("Top.s.town", "absent", "string", "no default", "alias"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INCOMPATIBLE)
def test_what_does_not_go_together(case):
    """One reason each: its place, both types, the rule and what would help."""
    writer, reader, expected = INCOMPATIBLE[case]
    (problem,) = found(writer, reader)
    assert expected[:3] == (problem.path, problem.writer, problem.reader)
    assert expected[3] in problem.reason
    assert expected[4] in problem.remedy


def test_every_reason_is_given():
    """The check does not end at the first reason, and says none twice."""
    writer = record(("a", "string"), ("b", ["int", "null"]), ("c", enum("A")), ("d", enum("A", name="Other")))
    reader = record(("a", "int"), ("b", "int"), ("c", enum("B")), ("d", "string"), ("e", "long"))
    assert ["Top.a", "Top.b", "Top.c", "Top.d", "Top.e"] == [item.path for item in found(writer, reader)]
    twice = record(("a", ["int", "int"]))
    assert 1 == len(found(twice, record(("a", "string"))))


def cases(avro_project):
    """The evolution vectors, their data as Python has them."""
    listed = json.loads((avro_project.parents[1] / "fastavro_evolution_vectors.json").read_text())["cases"]
    for case in listed:
        data = case["records"]
        if case["writer_schema"] == "bytes":
            data = [item.encode("latin-1") for item in data]
        yield case, [tuple(item) if isinstance(item, list) else item for item in data]


def test_the_evolution_vectors_hold(avro_project):
    """What the vectors read is read so; what they refuse fails, and the check had said so."""
    read = refused = 0
    for case, data in cases(avro_project):
        writer, reader = (parse(json.dumps(case[f"{side}_schema"]), side) for side in ("writer", "reader"))
        convert = compile_reader(writer, reader)
        values = [encode(writer.parsed, datum) for datum in data]
        if "expected" in case:
            assert_same([convert(io.BytesIO(value)) for value in values], case["expected"])
            read += 1
        elif case["expected_error"] == "SchemaResolutionError":
            with pytest.raises(ResolutionError) as caught:
                [convert(io.BytesIO(value)) for value in values]
            assert caught.value.problem.path in {p.path for p in incompatibilities(writer, reader)}
            refused += 1
        else:
            with pytest.raises(UnicodeDecodeError):
                [convert(io.BytesIO(value)) for value in values]
    assert (17, 5) == (read, refused)


def encode(schema, datum):
    """Write one datum with fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum)
    return out.getvalue()


PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
NAMES = ("a", "b", "c", "d")


@st.composite
def types(draw, depth=2):
    """A small schema, of at most so many levels."""
    inner = types(depth - 1)
    return draw(
        {
            "leaf": st.sampled_from(PRIMITIVES),
            "enum": st.lists(st.sampled_from("ABC"), min_size=1, unique=True).map(lambda s: enum(*s)),
            "fixed": st.sampled_from([fixed(2), fixed(3)]),
            "array": inner.filter(lambda item: item != "null").map(lambda t: {"type": "array", "items": t}),
            "map": inner.map(lambda type_: {"type": "map", "values": type_}),
            "record": records(depth - 1),
            "union": st.lists(inner, min_size=1, max_size=3).map(union),
        }[draw(st.sampled_from(["leaf", "leaf", "leaf", "enum", "fixed", *(NESTED if depth else [])]))]
    )


NESTED = ("array", "map", "record", "union")


def union(branches):
    """Make a union of what may be in one together."""
    return list(
        {
            json.dumps(b["type"] if isinstance(b, dict) else b): b
            for b in branches
            if not isinstance(b, list)
        }.values()
    ) or ["null"]


@st.composite
def records(draw, depth=2):
    """A record of some fields."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    return record(*((name, draw(types(depth))) for name in names), name=f"R{depth}")


def evolved(draw, schema):
    """Change a schema here and there, as its next version might be, or might better not be."""
    if isinstance(schema, list):
        return draw(st.permutations([evolved(draw, branch) for branch in schema]).map(union))
    full = {"type": schema} if isinstance(schema, str) else schema
    change = draw(st.integers(0, 9))
    if change == 0:
        return draw(st.sampled_from(PRIMITIVES)) if isinstance(schema, str) else union(["null", schema])
    made = schema
    match full["type"]:
        case "array":
            items = evolved(draw, full["items"])
            made = {**full, "items": full["items"] if items == "null" else items}
        case "map":
            made = {**full, "values": evolved(draw, full["values"])}
        case "record":
            made = {**full, "fields": draw(st.permutations([*evolved_fields(draw, full["fields"])]))}
        case "enum" if change == 1:
            made = enum("B", "D", **draw(st.sampled_from([{}, {"default": "D"}])))
        case kind if change < 4 and kind in PROMOTIONS:
            made = draw(st.sampled_from(PROMOTIONS[kind]))
    return made


def evolved_fields(draw, fields):
    """Keep, change, rename or remove each field of a record, and add one."""
    for item in fields:
        change = draw(st.integers(0, 7))
        type_ = evolved(draw, item["type"])
        if change == 1:
            yield {"name": f"{item['name']}_new", "type": type_, "aliases": [item["name"]]}
        elif change > 1:
            yield {"name": item["name"], "type": type_}
    yield {"name": "added", "type": ["null", "int"], **draw(st.sampled_from([{"default": None}] * 4 + [{}]))}


def named_apart(schema, seen):
    """Give types of one name a namespace each, in order: names conflict, definitions do not."""
    if isinstance(schema, list):
        return [named_apart(branch, seen) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    if "name" in made:
        seen.append(made["name"])
        made["name"] = f"n{seen.count(made['name'])}.{made['name']}"
    for key in ("items", "values"):
        if key in made:
            made[key] = named_apart(made[key], seen)
    if "fields" in made:
        made["fields"] = [{**item, "type": named_apart(item["type"], seen)} for item in made["fields"]]
    return made


SIMPLE = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**20), 2**20),
    "long": st.integers(-(2**20), 2**20),
    "float": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "double": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "bytes": st.text(max_size=3).map(str.encode),
    "string": st.text(max_size=3),
}


def values(schema):
    """Data of a schema."""
    if isinstance(schema, list):
        return st.one_of(*map(values, schema))
    if isinstance(schema, str):
        return SIMPLE[schema]
    made = {
        "fixed": lambda: st.binary(min_size=schema["size"], max_size=schema["size"]),
        "enum": lambda: st.sampled_from(schema["symbols"]),
        "array": lambda: st.lists(values(schema["items"]), max_size=2),
        "map": lambda: st.dictionaries(st.sampled_from("kl"), values(schema["values"]), max_size=2),
        "record": lambda: st.fixed_dictionaries({f["name"]: values(f["type"]) for f in schema["fields"]}),
    }
    return made[schema["type"]]()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_check_foretells_what_reading_does(data):
    """Compatible schemas read every datum, as fastavro does; a datum that fails was foretold."""
    first = data.draw(records())
    written, wanted = (named_apart(schema, []) for schema in (first, evolved(data.draw, first)))
    try:
        writer, reader = parse(json.dumps(written), "writer"), parse(json.dumps(wanted), "reader")
    except ValueError as error:
        assert "take no bytes" in str(error)  # items that are records of nothing but null
        reject()
    problems = incompatibilities(writer, reader)
    convert = compile_reader(writer, reader)
    for datum in data.draw(st.lists(values(written), min_size=1, max_size=4)):
        value = encode(writer.parsed, datum)
        try:
            ours = convert(io.BytesIO(value))
        except ResolutionError as error:
            event("fails")
            assert error.problem.path in {item.path for item in problems}
            continue
        event("compatible" if not problems else "reads all the same")
        if not problems:
            assert_same(ours, fastavro.schemaless_reader(io.BytesIO(value), writer.parsed, reader.parsed))


def assert_same(ours, theirs):
    """Compare what two readers made; fastavro takes a union's first promotion, so texts may be bytes."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key, item in ours.items():
            assert_same(item, theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            assert_same(left, right)
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs)
    else:
        assert ours == (
            theirs.decode()
            if isinstance(ours, str) and isinstance(theirs, bytes)
            else theirs.encode()
            if isinstance(ours, bytes) and isinstance(theirs, str)
            else theirs
        )
