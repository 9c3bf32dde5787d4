"""Loading ``parcours.toml``: layers, flags, secrets, paths, and every mistake at once."""

from datetime import timedelta

import pytest

from parcours.pipelines.config import ConfigError, load_config, read_config
from parcours.pipelines.secrets import Secrets, looks_secret

SECRET = "hunter2-tres-secret"

FILE_SOURCE = """
[[source]]
name = "web"
kind = "file"
format = "json"
path = "web.ndjson"
"""

KAFKA_SOURCE = """
[[source]]
name = "crm"
kind = "kafka"
format = "json"
topics = ["crm"]
bootstrap = "127.0.0.1:9092"
start = "earliest"
"""


@pytest.fixture
def write(tmp_path):
    """Writes a config layer, and the file that FILE_SOURCE reads."""
    (tmp_path / "web.ndjson").write_text("{}\n")

    def write(text, name="parcours.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, "utf-8")
        return path

    return write


def mistakes(*paths, overrides=None, environ=None):
    """Return the mistakes of a config, by their key."""
    with pytest.raises(ConfigError) as caught:
        load_config(paths, overrides or {}, environ or {})
    return {mistake.key: mistake for mistake in caught.value.mistakes}


def test_every_mistake_is_listed_at_once(write):
    """One wrong file names each of its mistakes, with place, value, what is allowed and the near spelling."""
    path = write(
        """
sorce = 1
[[source]]
name = "crm"
kind = "kafka"
format = "jsn"
formt = "json"
topics = 3
start = "earlyest"
time_zone = "Europe/Pari"
expected_every = "5 parsecs"
[source.map]
custmer_id = "user.id"
stage = "=servce"
customer_id = "@hash"
[source.kafka]
security_protocl = "SSL"
ssl_cafile = "ca.pem"
isolation_level = "read_uncommitted"
sasl_plain_username = "${PARCOURS_USR}"
[[source]]
name = "pos"
kind = "fil"
format = "csv"
[[source]]
name = "erp"
kind = "file"
format = "avro"
path = "epr.avro"
writer_schema = "erp.avsc"
[[source]]
name = "erp"
kind = "kafka"
format = "avro-confluent"
schemas = "schemas"
[taxonomy.events.quote]
stage = "servce"
money_role = "revenu"
[taxonomy.channels.web]
medium = "digitl"
[journey]
unit = "profil"
gap = "long"
[kpi]
week_start = "mondey"
"""
    )
    (path.parent / "erp.avro").write_text("")
    found = mistakes(path, environ={"PARCOURS_USER": "x"})
    assert set(found) == {
        "sorce",
        'source "crm" > format',
        'source "crm" > formt',
        'source "crm" > topics',
        'source "crm" > bootstrap',
        'source "crm" > start',
        'source "crm" > time_zone',
        'source "crm" > expected_every',
        'source "crm" > map > custmer_id',
        'source "crm" > map > stage',
        'source "crm" > map > customer_id',
        'source "crm" > kafka > security_protocl',
        'source "crm" > kafka > ssl_cafile',
        'source "crm" > kafka > isolation_level',
        'source "crm" > kafka > sasl_plain_username',
        'source "pos" > kind',
        'source "erp"',
        'source "erp" > format',
        'source "erp" > path',
        'source "erp" > writer_schema',
        "source #4 > topics",
        "source #4 > bootstrap",
        "source #4 > start",
        "source #4 > schemas",
        "taxonomy > events > quote > stage",
        "taxonomy > events > quote > money_role",
        "taxonomy > channels > web > medium",
        "journey > unit",
        "journey > gap",
        "kpi > week_start",
    }
    assert {mistake.file for mistake in found.values()} == {str(path)}
    near = {key: mistake.suggestion for key, mistake in found.items() if mistake.suggestion}
    assert near == {
        "sorce": "source",
        'source "crm" > format': "json",
        'source "crm" > formt': "format",
        'source "crm" > start': "earliest",
        'source "crm" > time_zone': "Europe/Paris",
        'source "crm" > map > custmer_id': "customer_id",
        'source "crm" > map > stage': "service",
        'source "crm" > kafka > security_protocl': "security_protocol",
        'source "crm" > kafka > sasl_plain_username': "PARCOURS_USER",
        'source "pos" > kind': "file",
        'source "erp" > path': "erp.avro",
        'source "erp" > writer_schema': "erp.avro",
        "taxonomy > events > quote > stage": "service",
        "taxonomy > events > quote > money_role": "revenue",
        "taxonomy > channels > web > medium": "digital",
        "journey > unit": "profile",
        "kpi > week_start": "monday",
    }
    stage = found["taxonomy > events > quote > stage"]
    assert stage.value == '"servce"'
    assert stage.allowed == ("awareness", "consideration", "purchase", "service", "loyalty", "advocacy")


def test_layers_that_cannot_be_read_are_listed_with_the_others(write, tmp_path):
    """A missing layer, a syntax error and another layer's mistakes come in one list, each once."""
    broken = write('a = 1\nb = "\n', "broken.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# été\n".encode("cp1252"))
    wrong = write('[[source]]\nname = "x"\nkind = "kafkka"\n', "wrong.toml")
    with pytest.raises(ConfigError) as caught:
        load_config([broken, latin, tmp_path / "brokn.toml", wrong], {}, {})
    by_file = {mistake.file: mistake for mistake in caught.value.mistakes}
    assert len(caught.value.mistakes) == 4
    assert "at line 2" in by_file[str(broken)].problem
    assert "UTF-8 (at line 1)" in by_file[str(latin)].problem
    assert by_file[str(tmp_path / "brokn.toml")].suggestion == "broken.toml"
    assert by_file[str(wrong)].suggestion == "kafka"


def test_later_layers_and_flags_win_and_sources_merge_by_name(write):
    """A production layer changes one key of a source; flags win over both; the rest stays."""
    base = write(FILE_SOURCE + KAFKA_SOURCE + '[journey]\ngap = "100d"\nunit = "product"\n', "base.toml")
    prod = write(
        '[[source]]\nname = "crm"\nbootstrap = ["a:1", "b:2"]\n[journey]\ngap = "200d"\n', "prod.toml"
    )
    config = load_config([base, prod], {"store": {"path": "flag.duckdb"}}, {})
    web, crm = config.source
    assert (web.name, crm.name) == ("web", "crm")
    assert crm.bootstrap == ("a:1", "b:2")
    assert crm.topics == ("crm",)
    assert config.journey.gap == timedelta(days=200)
    assert config.journey.unit == "product"
    assert config.store.path.endswith("/flag.duckdb")


def test_a_mistake_names_the_layer_it_stands_in(write):
    """With several layers, each mistake is reported for the file whose value counts, flags included."""
    base = write(FILE_SOURCE + '[journey]\nunit = "x"\ngap = "y"\n', "base.toml")
    prod = write('[journey]\nunit = "z"\n', "prod.toml")
    found = mistakes(base, prod, overrides={"kpi": {"week_start": "friday"}})
    assert found["journey > unit"].file == str(prod)
    assert found["journey > gap"].file == str(base)
    assert found["kpi > week_start"].file == "command line"


def test_paths_are_relative_to_the_file_they_stand_in(write, tmp_path, monkeypatch):
    """Each layer's paths start from its own folder, flags from the working folder; URLs stay."""
    monkeypatch.chdir(tmp_path)
    write("{}", "base/in.ndjson")
    write("{}", "prod/ca.pem")
    base = write(FILE_SOURCE.replace("web.ndjson", "in.ndjson") + KAFKA_SOURCE, "base/base.toml")
    prod = write(
        '[[source]]\nname = "crm"\nformat = "avro-confluent"\nschemas = "http://127.0.0.1:8081"\n'
        '[source.kafka]\nssl_cafile = "ca.pem"\n',
        "prod/prod.toml",
    )
    config = load_config([base, prod], {"store": {"staging": "here"}}, {})
    assert config.store.path == str(tmp_path / "base" / "parcours.duckdb")
    assert config.store.staging == str(tmp_path / "here")
    assert config.source[0].path == str(tmp_path / "base" / "in.ndjson")
    assert config.source[1].kafka["ssl_cafile"] == str(tmp_path / "prod" / "ca.pem")
    assert config.source[1].schemas == "http://127.0.0.1:8081"


def test_variables_come_from_the_environment_or_a_file(write, tmp_path):
    """``${PARCOURS_X}`` is the variable, or the contents of the file that ``PARCOURS_X_FILE`` names."""
    path = write(
        KAFKA_SOURCE
        + '[source.kafka]\nsasl_plain_password = "${PARCOURS_PW}"\nclient_id = "a-${PARCOURS_ID}"'
    )
    secret = write(f"{SECRET}\n", "secret.txt")
    config = load_config([path], {}, {"PARCOURS_PW_FILE": str(secret), "PARCOURS_ID": "b"})
    assert config.source[0].kafka == {"sasl_plain_password": SECRET, "client_id": "a-b"}


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        ("${PARCOURS_PW}", {}, "neither PARCOURS_PW nor PARCOURS_PW_FILE"),
        ("${PARCOURS_PW}", {"PARCOURS_PW": SECRET, "PARCOURS_PW_FILE": "/x"}, "both set"),
        ("${PARCOURS_PW}", {"PARCOURS_PW_FILE": "/no/such/file"}, "cannot be read"),
        ("${HOME}", {"HOME": SECRET}, "begins with PARCOURS_"),
    ],
)
def test_a_variable_that_gives_nothing_is_one_mistake(write, text, environ, problem):
    """An unset, doubled, unreadable or foreign variable is listed once, and nothing else of its place."""
    found = mistakes(write(KAFKA_SOURCE.replace("127.0.0.1:9092", text)), environ=environ)
    assert list(found) == ['source "crm" > bootstrap']
    assert problem in found['source "crm" > bootstrap'].problem


def test_a_variable_of_a_value_that_is_overridden_is_not_needed(write):
    """What a later layer replaced need not be set."""
    base = write(KAFKA_SOURCE.replace("127.0.0.1:9092", "${PARCOURS_B}"), "base.toml")
    prod = write('[[source]]\nname = "crm"\nbootstrap = "b:1"\n', "prod.toml")
    assert load_config([base, prod], {}, {}).source[0].bootstrap == ("b:1",)


def test_no_secret_is_in_any_message_or_in_the_shown_config(write):
    """Secrets from variables, in secret-looking keys, misspelled ones too, and in URLs never come out."""
    kafka = f"""
[source.kafka]
sasl_plain_password = "{SECRET}-1"
sasl_plain_username = "${{PARCOURS_USER}}"
"""
    right = write(
        KAFKA_SOURCE.replace('"json"', f'"avro-confluent"\nschemas = "http://u:pw{SECRET}@h/"') + kafka
    )
    environ = {"PARCOURS_USER": f"user-{SECRET}"}
    loaded = read_config([right], {}, environ)
    shown = str(loaded.shown())
    assert SECRET not in shown
    assert SECRET not in repr(loaded.config.source[0].kafka.keys())
    assert loaded.shown()["source"][0]["kafka"] == {
        "sasl_plain_password": "****",
        "sasl_plain_username": "****",
    }
    assert loaded.shown()["source"][0]["schemas"] == "http://****@h/"
    wrong = write(
        KAFKA_SOURCE
        + f'ssl_pasword = "{SECRET}-2"\nexpected_every = "${{PARCOURS_USER}}"\nencoding = "http://u:{SECRET}@h"\n'
        + f'time_zone = "x ${{PARCOURS_USER}} y"\n[source.kafka]\nsasl_plain_pasword = ["{SECRET}-3"]\n'
        + f'ssl_pass = "{SECRET}-4"\n',
        "wrong.toml",
    )
    with pytest.raises(ConfigError) as caught:
        read_config([wrong], {}, environ)
    assert len(caught.value.mistakes) == 6
    assert SECRET not in str(caught.value) + repr(caught.value.mistakes)


def test_short_secrets_are_masked_as_words():
    """A one-letter secret hides that word, not every such letter."""
    secrets = Secrets()
    secrets.add(["a", "long secret\nof two lines"])
    assert secrets.mask("a banana; of two lines") == "**** banana; ****"


@pytest.mark.parametrize(
    "key", ["password", "sasl_plain_password", "ssl_pasword", "api_key", "AccessToken", "passwd"]
)
def test_keys_that_look_secret(key):
    """A key is known as secret by its name, misspelled or not."""
    assert looks_secret(key)


@pytest.mark.parametrize("key", ["path", "topics", "ssl_keyfile", "key_columns", "bootstrap", "source"])
def test_keys_that_do_not_look_secret(key):
    """Ordinary keys are shown."""
    assert not looks_secret(key)


def test_files_need_not_be_there_for_commands_that_only_look_at_the_store(write, tmp_path):
    """A loaded file that was moved away stops a run, not a look at the store."""
    path = write(FILE_SOURCE)
    (tmp_path / "web.ndjson").unlink()
    assert list(mistakes(path)) == ['source "web" > path']
    assert load_config([path], {}, {}, check_files=False).source[0].name == "web"


def test_a_glob_may_match_nothing_where_its_folder_exists(write, tmp_path):
    """An empty landing folder is a warning; a folder that does not exist is a mistake."""
    path = write(FILE_SOURCE.replace("web.ndjson", "in/*.ndjson"))
    assert "no folder" in mistakes(path)['source "web" > path'].problem
    (tmp_path / "in").mkdir()
    assert "no file matches" in read_config([path], {}, {}).warnings[0]


def test_a_folder_as_path_is_a_mistake_that_says_what_to_write(write, tmp_path):
    """A folder is not read by guesswork."""
    (tmp_path / "in").mkdir()
    found = mistakes(write(FILE_SOURCE.replace("web.ndjson", "in")))
    assert "*.ndjson" in found['source "web" > path'].problem


def test_roles_and_endings_that_look_misspelled_are_warnings(write):
    """Roles are open, so a near miss is pointed out and allowed."""
    path = write(
        FILE_SOURCE
        + '[taxonomy.events.quote]\nroles = ["quote_creatd", "our_own_thing"]\n'
        + '[journey]\nend_on = ["quot", "quote"]\n'
    )
    warnings = read_config([path], {}, {}).warnings
    assert [text.rsplit("did you mean ")[1] for text in warnings] == ['"quote_created"?', '"quote"?']


def test_sources_as_a_table_are_explained(write):
    """``[source]`` instead of ``[[source]]`` says what to write."""
    found = mistakes(write('[source]\nname = "x"\n'))
    assert "[[source]]" in found["source"].problem


def test_no_file_at_all_gives_the_defaults(tmp_path, monkeypatch):
    """Without layers the flags alone make a config."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a\n")
    source = {"name": "x", "kind": "file", "format": "csv", "path": "x.csv", "map": {"event_id": "@hash"}}
    config = load_config([], {"source": [source]}, {})
    assert config.source[0].path == str(tmp_path / "x.csv")
    assert config.source[0].map["event_id"].generate == "hash"
    assert config.store.path == str(tmp_path / "parcours.duckdb")


def test_avro_schemas_are_read_with_the_config(write, tmp_path):
    """A writer schema that is not Avro, alone or in a folder, is found before any record is read."""
    source = KAFKA_SOURCE.replace('"json"', '"avro"\nwriter_schema = "w.avsc"')
    write('{"type": "recrd"}', "w.avsc")
    write('"string"', "schemas/1.avsc")
    write("{", "schemas/2.avsc")
    other = KAFKA_SOURCE.replace("crm", "erp").replace('"json"', '"avro-confluent"\nschemas = "schemas"')
    found = mistakes(write(source + other))
    assert set(found) == {'source "crm" > writer_schema', 'source "erp" > schemas'}
    assert "w.avsc is not a usable Avro schema" in found['source "crm" > writer_schema'].problem
    assert "2.avsc" in found['source "erp" > schemas'].problem


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("date_format", '"dd/MM/yyyy"', "no strptime pattern"),
        ("map", '{ event_id = "@hsh" }', "@hash or @row"),
    ],
)
def test_words_that_would_reject_every_record_are_mistakes(write, key, value, hint):
    """A date format without a directive, or an unknown way to make ids, stops before anything is read."""
    path = write(f'[[source]]\nname = "a"\nkind = "file"\nformat = "csv"\npath = "."\n{key} = {value}\n')
    with pytest.raises(ConfigError) as caught:
        load_config([path], {}, {}, check_files=False)
    assert hint in str(caught.value)


def test_a_reference_input_has_fields_of_its_own(write):
    """A mapping of contracts names contracts' fields: others are mistakes, ids made of contents too."""
    source = FILE_SOURCE + 'loads = "contracts"\n'
    fine = '[source.map]\ncontract_id = "no"\ndue_at = "due"\n'
    assert "contracts" == load_config([write(source + fine)], {}, {}).source[0].loads
    wrong = '[source.map]\neffectiv_from = "a"\nevent_id = "@hash"\ncontract_id = "@hash"\nid = "b"\n'
    found = mistakes(write(source + wrong))
    place = 'source "web" > map > '
    assert {f"{place}{name}" for name in ("effectiv_from", "event_id", "contract_id", "id")} == set(found)
    assert "effective_from" == found[f"{place}effectiv_from"].suggestion
    assert "known by contract_id" in found[f"{place}event_id"].problem
    assert "only event_id" in found[f"{place}contract_id"].problem
    assert "attributes" in found[f"{place}id"].allowed


def test_an_alias_is_of_a_known_kind_of_id(write):
    """A constant or a look-up that gives no kind of id is a mistake, with the near spelling."""
    lookup = '{ path = "a", lookup = { tel = "anonymousid" } }'
    path = write(FILE_SOURCE + f'loads = "aliases"\n[source.map]\nid_type = {lookup}\n')
    assert "anonymous_id" == mistakes(path)['source "web" > map > id_type'].suggestion
    path = write(FILE_SOURCE + 'loads = "alias"\n[source.map]\nid_type = "=customer_id"\n')
    found = mistakes(path)
    assert "aliases" == found.pop('source "web" > loads').suggestion
    assert {} == found  # whose fields the map names is not known


def test_an_expression_of_a_mapping_is_checked(write):
    """What is no column of the record's, asks for more than the record, or does not fit, is told."""
    path = write(
        FILE_SOURCE
        + """
[source.map]
event_id = { generate = "hash", sql = "'x'" }
value = { path = "montant", sql = "replace(vlaue, '€', '')" }
cost = { sql = "(SELECT 1)" }
customer_id = { path = "user", sql = "customer_id + 1" }
channel = { sql = "'web'" }
stage = { lookup = { a = "service" } }
"""
    )
    found = mistakes(path)
    assert set(found) == {
        'source "web" > map > event_id > sql',
        'source "web" > map > value > sql',
        'source "web" > map > cost > sql',
        'source "web" > map > customer_id > sql',
        'source "web" > map > stage',
    }
    assert found['source "web" > map > value > sql'].suggestion == "value"
    assert "a subquery has no place" in found['source "web" > map > cost > sql'].problem
    assert "Binder Error" in found['source "web" > map > customer_id > sql'].problem
