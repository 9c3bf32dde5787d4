"""``parcours schema check``."""

import json

import pytest

V1 = {
    "type": "record",
    "name": "io.t.Visit",
    "fields": [{"name": "id", "type": "string"}, {"name": "n", "type": "int"}],
}
V2 = {**V1, "fields": [*V1["fields"], {"name": "shop", "type": "string", "default": "none"}]}
V3 = {**V1, "fields": [V1["fields"][0], {"name": "n", "type": "string"}]}
V10 = {**V1, "fields": [{"name": "shop", "type": "string"}]}


@pytest.fixture
def folder(tmp_path):
    """The versions as files."""
    for name, schema in {"v1": V1, "v2": V2, "v3": V3, "v10": V10}.items():
        (tmp_path / f"{name}.avsc").write_text(json.dumps(schema))
    return tmp_path


@pytest.mark.parametrize(
    ("versions", "mode", "code"),
    [
        ("v1 v2", "backward", 0),
        ("v1 v2", "forward", 0),
        ("v1 v2", "full", 0),
        ("v2 v10", "backward", 0),
        ("v2 v10", "forward", 1),
        ("v2 v10", "full", 1),
        ("v10 v2", "backward", 1),
        ("v1 v3", "full", 1),
    ],
)
def test_the_mode_says_who_reads_whom(parcours, folder, versions, mode, code):
    """Backward: the new one reads the old one's data; forward: the other way; full: both."""
    files = [folder / f"{name}.avsc" for name in versions.split()]
    ran = parcours("schema", "check", *files, "--mode", mode)
    assert code == ran.code
    assert ("cannot read all" in ran.out) == (code == 1)
    assert "" == ran.err


def test_each_incompatibility_says_where_what_and_why(parcours, folder):
    """Path, both types, the reason and what would help, as a table and as JSON."""
    check = ("schema", "check", folder / "v1.avsc", folder / "v3.avsc")
    shown = parcours(*check).out
    for text in ("Visit.n", "int", "string", "types do not match", "union of both"):
        assert text in shown
    told = json.loads(parcours(*check, "--json", "--mode", "full").out)
    assert (False, "full") == (told["compatible"], told["mode"])
    backward, forward = told["checks"]
    assert (backward["reader"], backward["writer"]) == (forward["writer"], forward["reader"])
    (problem,) = backward["incompatibilities"]
    assert ("Visit.n", "int", "string") == tuple(problem[key] for key in ("path", "writer", "reader"))
    assert {"path", "writer", "reader", "reason", "remedy"} == set(problem)


def test_transitive_holds_the_newest_against_all(parcours, folder):
    """A folder stands for its versions, v2 before v10; without --transitive only the last one counts."""
    (folder / "v3.avsc").unlink()
    assert 0 == parcours("schema", "check", folder).code
    ran = parcours("schema", "check", folder, "--transitive", "--json")
    checks = [(item["writer"][-7:], len(item["incompatibilities"])) for item in json.loads(ran.out)["checks"]]
    assert [("v1.avsc", 1), ("v2.avsc", 0)] == [(name.lstrip("/"), count) for name, count in checks]
    assert 1 == ran.code


def test_what_is_no_schema_is_a_mistake_of_the_command_line(parcours, folder):
    """Exit code 2 stands apart from 1: nothing was checked."""
    (folder / "broken.avsc").write_text('{"type": "nonsense"}')
    (folder / "words.avsc").write_text("what the writer means")
    (folder / "empty").mkdir()
    for arguments, text in [
        (["v1.avsc"], "one schema alone"),
        (["v1.avsc", "gone.avsc"], "gone.avsc cannot be read"),
        (["v1.avsc", "broken.avsc"], "not a usable Avro schema"),
        (["v1.avsc", "words.avsc"], "not a usable Avro schema: it is not JSON"),
        (["v1.avsc", "empty"], "no .avsc file"),
        (["v1.avsc", "ftp://somewhere/x"], "/subjects/NAME"),
        (["v1.avsc", "http://somewhere/x"], "/subjects/NAME"),
    ]:
        ran = parcours("schema", "check", *arguments, cwd=folder)
        assert 2 == ran.code
        assert text in ran.err
