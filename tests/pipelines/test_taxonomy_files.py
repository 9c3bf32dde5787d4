"""The taxonomy in CSV files: one taxonomy with what the config says, and every mistake by its line."""

import pytest

from parcours.pipelines.config import ConfigError, load_config, read_config
from parcours.pipelines.rules import fingerprint, rules_of

EVENTS = """event_type,stage,roles,money_role
quote_created,consideration,quote_created,
contract_signed,purchase,contract_signed purchase,premium
site_visited,awareness,touch | visit,
noted,,,
"""
CHANNELS = """channel,medium,direct
site,digital,true
agency,physical,
"""
CONFIG = """[taxonomy]
events_file = "words/events.csv"
channels_file = "words/channels.csv"
"""
INLINE = """[taxonomy.events.quote_created]
stage = "consideration"
roles = ["quote_created"]
[taxonomy.events.contract_signed]
stage = "purchase"
roles = ["contract_signed", "purchase"]
money_role = "premium"
[taxonomy.events.site_visited]
stage = "awareness"
roles = ["touch", "visit"]
[taxonomy.events.noted]
[taxonomy.channels.site]
medium = "digital"
direct = true
[taxonomy.channels.agency]
medium = "physical"
"""


@pytest.fixture
def write(tmp_path):
    """Writes a config and the two files beside it, in a folder of their own."""

    def write(config=CONFIG, events=EVENTS, channels=CHANNELS, encoding="utf-8"):
        folder = tmp_path / "words"
        folder.mkdir(exist_ok=True)
        (folder / "events.csv").write_text(events, encoding)
        (folder / "channels.csv").write_text(channels, encoding)
        path = tmp_path / "parcours.toml"
        path.write_text(config, "utf-8")
        return path

    return write


def mistakes(path):
    """Return what is wrong with a config: file name and place → mistake."""
    with pytest.raises(ConfigError) as caught:
        load_config([path], {}, {})
    found = caught.value.mistakes
    return {(mistake.file.rpartition("/")[2], mistake.key): mistake for mistake in found}


def test_words_of_files_and_of_the_config_are_one_taxonomy(write):
    """Wherever a word is said, the rules and their fingerprint are the same, and so is the config shown."""
    by_files, inline = read_config([write()], {}, {}), read_config([write(INLINE)], {}, {})
    assert fingerprint(rules_of(by_files.config)) == fingerprint(rules_of(inline.config))
    assert by_files.shown()["taxonomy"] == inline.shown()["taxonomy"]
    both = write(CONFIG + '[taxonomy.events.claim_opened]\nstage = "service"\n')
    taxonomy = load_config([both], {}, {}).taxonomy
    assert {"claim_opened", "noted"} < taxonomy.events.keys()
    assert taxonomy.events["site_visited"].roles == ("touch", "visit")
    assert taxonomy.channels["site"].direct


@pytest.mark.parametrize("mark", [";", "\t"])
def test_files_as_spreadsheets_write_them(write, mark):
    """With a byte order mark, semicolons or tabs, Windows line ends, blank rows, spaces, their own TRUE."""
    texts = [text.replace(",", mark).replace("\n", "\r\n") for text in (EVENTS, CHANNELS)]
    expected = load_config([write(INLINE)], {}, {}).taxonomy
    channels = texts[1].replace("true", "VRAI").replace("agency", " agency ")
    path = write(events=texts[0] + 3 * mark + "\r\n", channels=channels, encoding="utf-8-sig")
    found = load_config([path], {}, {}).taxonomy
    assert (expected.events, expected.channels) == (found.events, found.channels)


def test_columns_that_nobody_filled_are_ignored(write):
    """Spreadsheets write empty columns at the end; what stands in one is a mistake."""
    expected = load_config([write(INLINE)], {}, {}).taxonomy
    found = load_config([write(events=EVENTS.replace("\n", ",,\n"))], {}, {}).taxonomy
    assert expected.events == found.events
    path = write(events="event_type,stage,,\na,service,,\nb,service,,x\nc,service,\n")
    assert {
        ("events.csv", "line 3"): "it has 4 columns; the header has 2",
        ("events.csv", "line 4"): "it has 3 columns; the header has 2",
    } == {place: mistake.problem for place, mistake in mistakes(path).items()}


def test_every_mistake_of_a_file_is_listed_by_line_and_column(write):
    """Place, value, what is allowed and the near spelling; nothing is taken from a file with mistakes."""
    path = write(
        CONFIG + '[taxonomy.events.noted]\nstage = "service"\n',
        EVENTS + "won,purchse,,\nwon,purchase,,\n,purchase,,\nsold,Purchase,,revenu\nlost,,\n",
        "channel,medium,direct\nsite,digitl,maybe\nshop,,true\n",
    )
    found = mistakes(path)
    assert {
        ("events.csv", "line 5, event_type"),  # noted is said by the config
        ("events.csv", "line 6, stage"),
        ("events.csv", "line 7, event_type"),
        ("events.csv", "line 8, event_type"),
        ("events.csv", "line 9, stage"),
        ("events.csv", "line 9, money_role"),
        ("events.csv", "line 10"),
        ("channels.csv", "line 2, medium"),
        ("channels.csv", "line 2, direct"),
        ("channels.csv", "line 3, medium"),
    } == set(found)
    assert (
        'line 6, stage = "purchse": is not one of the allowed values; did you mean "purchase"? (allowed: awar'
        in str(found["events.csv", "line 6, stage"])
    )
    assert "line 6 says it already" in str(found["events.csv", "line 7, event_type"])
    assert "the config says it too" in str(found["events.csv", "line 5, event_type"])
    assert found["events.csv", "line 9, money_role"].suggestion == "revenue"
    assert found["channels.csv", "line 2, direct"].allowed == ("true", "false")
    assert "it has 3 columns; the header has 4" in str(found["events.csv", "line 10"])


@pytest.mark.parametrize(
    ("events", "place", "problem", "suggestion"),
    [
        ("", "line 1", "the column event_type is missing", None),
        ("event_type,stge\na,service\n", "line 1", "unknown column", "stage"),
        ("event_type,stage,stage\na,service,service\n", "line 1", "the column stands there twice", None),
        ('event_type,stage\na,service\n"b,service\n', "line 3", "it is not CSV: unexpected end", None),
    ],
)
def test_files_that_are_no_taxonomy(write, events, place, problem, suggestion):
    """A header that is none, and what is no CSV, are one mistake."""
    (((file, key), mistake),) = mistakes(write(events=events)).items()
    assert ("events.csv", place) == (file, key)
    assert problem in str(mistake)
    assert mistake.suggestion == suggestion


def test_files_that_cannot_be_read(write):
    """Another encoding and a name that is misspelt are said, with the near one."""
    path = write(events=EVENTS + "résilié,loyalty,,\n", encoding="cp1252")
    assert "save it as CSV UTF-8" in str(mistakes(path)["events.csv", "line 6"])
    path = write(CONFIG.replace("channels.csv", "chanels.csv"))
    mistake = mistakes(path)["chanels.csv", ""]
    assert ("there is no such file" in mistake.problem, mistake.suggestion) == (True, "channels.csv")
    variable = write(CONFIG.replace("words/events.csv", "${PARCOURS_WORDS}"))
    assert {("parcours.toml", "taxonomy > events_file")} == set(mistakes(variable))
    folder = write(CONFIG.replace("words/events.csv", "words"))
    assert "cannot be read: Is a directory" in str(mistakes(folder)["words", ""])


def test_only_what_needs_words_reads_them(write):
    """A look at the store asks for no taxonomy."""
    path = write(events="")
    read_config([path], {}, {}, only_store=True)
