"""What ``[dead_letters]`` may say, and the mistakes that are found before anything is read."""

import pytest

from parcours.pipelines.config import ConfigError, read_config

SOURCE = """
[[source]]
name = "crm"
kind = "kafka"
format = "json"
topics = ["crm.events", "crm.more"]
bootstrap = ["kafka-1:9092", "Kafka-2:9092"]
start = "earliest"
"""

GOOD = """
[dead_letters]
topic = "crm.rejected"
bootstrap = "kafka-2:9092, kafka-3:9092"
[dead_letters.kafka]
security_protocol = "SASL_SSL"
sasl_plain_password = "${PARCOURS_PASSWORD}"
ssl_cafile = "ca.pem"
compression_type = "zstd"
"""


@pytest.fixture
def checked(tmp_path):
    """Reads a config with a source and these dead letters; returns it, or its mistakes by place."""
    (tmp_path / "ca.pem").touch()
    path = tmp_path / "parcours.toml"

    def check(text):
        path.write_text(SOURCE + text, "utf-8")
        try:
            return read_config([path], {}, {"PARCOURS_PASSWORD": "hunter2-très-secret"})
        except ConfigError as error:
            assert "hunter2" not in str(error)
            return {mistake.key: mistake for mistake in error.mistakes}

    return check


def test_what_is_right(checked, tmp_path):
    """Addresses may be one text, settings are kafka-python's, files are beside the config, secrets masked."""
    loaded = checked(GOOD)
    given = loaded.config.dead_letters
    assert given.bootstrap == ("kafka-2:9092", "kafka-3:9092")
    assert given.kafka["ssl_cafile"] == str(tmp_path / "ca.pem")
    assert given.kafka["sasl_plain_password"] == "hunter2-très-secret"
    assert loaded.shown()["dead_letters"]["kafka"]["sasl_plain_password"] == "****"
    assert "hunter2" not in repr(given)


@pytest.mark.parametrize(
    ("good", "bad", "place", "said"),
    [
        ("crm.rejected", "crm rejected", "topic", "is no name of a Kafka topic"),
        ("crm.rejected", "", "topic", "is no name of a Kafka topic"),
        ("crm.rejected", "..", "topic", "is no name of a Kafka topic"),
        ("crm.rejected", "crm.more", "topic", 'source "crm" reads this topic'),
        ("kafka-2:9092, kafka-3:9092", " ", "bootstrap", "names no broker"),
        ("bootstrap =", "botstrap =", "bootstrap", "is missing"),
        ("ca.pem", "cb.pem", "kafka > ssl_cafile", "there is no such file"),
        ("compression_type", "acks", "kafka > acks", "so that nothing is lost"),
        ("compression_type", "group_id", "kafka > group_id", "no such producer setting"),
        ("compression_type", "partitioner", "kafka > partitioner", "not for a config file"),
        ("compression_type", "bootstrap_servers", "kafka > bootstrap_servers", "write bootstrap ="),
    ],
)
def test_what_is_wrong(checked, good, bad, place, said):
    """Each mistake is named by its place, and says what is wrong with it."""
    found = checked(GOOD.replace(good, bad))
    assert said in found[f"dead_letters > {place}"].problem


def test_near_spellings(checked):
    """A setting that is spelled almost right is suggested."""
    found = checked(GOOD.replace("security_protocol", "security_protocl"))
    assert found["dead_letters > kafka > security_protocl"].suggestion == "security_protocol"


def test_a_topic_of_another_cluster(checked):
    """A topic of the same name elsewhere is no loop."""
    assert checked(GOOD.replace("crm.rejected", "crm.more").replace("kafka-2", "kafka-4")).config.dead_letters
