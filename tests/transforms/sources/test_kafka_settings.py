"""What a source may say about its connection."""

import pytest
from pydantic import SecretStr

from parcours.schemas.config import Source
from parcours.transforms.sources.kafka_settings import OURS, build_consumer_settings, without_secrets


def source(**kafka):
    """A source with these settings in [source.kafka]."""
    return Source(
        name="shop",
        kind="kafka",
        format="json",
        topics="orders",
        bootstrap="a:1,b:2",
        start="earliest",
        kafka=kafka,
    )


def test_security_settings_pass_through_and_ours_stand():
    """Every security setting reaches kafka-python as written, beside what exactly-once reading needs."""
    given = {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": "/ca.pem",
        "ssl_certfile": "/c.pem",
        "ssl_keyfile": "/k.pem",
        "ssl_password": "p",
        "ssl_check_hostname": False,
        "ssl_ciphers": "HIGH",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_kerberos_service_name": "kafka",
        "proxy_url": "socks5://h:1",
    }
    settings = build_consumer_settings(source(**given))
    assert given.items() <= settings.items()
    assert OURS.items() <= settings.items()
    assert settings["bootstrap_servers"] == ["a:1", "b:2"]


def test_secrets_versions_and_token_providers_are_unwrapped():
    """What TOML cannot say is written as text and made into what kafka-python takes."""
    settings = build_consumer_settings(
        source(
            sasl_plain_password=SecretStr("pw"),
            api_version=[2, 8],
            sasl_oauth_token_provider="collections:OrderedDict",
        )
    )
    assert settings["sasl_plain_password"] == "pw"
    assert settings["api_version"] == (2, 8)
    assert type(settings["sasl_oauth_token_provider"]).__name__ == "OrderedDict"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("group_id", "exactly once"),
        ("auto_offset_reset", "exactly once"),
        ("isolation_level", "exactly once"),
        ("enable_auto_commit", "exactly once"),
        ("value_deserializer", "exactly once"),
        ("session_timeout_ms", "consumer groups"),
        ("ssl_context", "Python object"),
        ("bootstrap_servers", "bootstrap ="),
        ("ssl_cafil", "ssl_cafile"),
        ("zzzzz", "no such consumer setting"),
    ],
)
def test_a_setting_that_is_not_the_users_is_refused(name, said):
    """The message names the setting and why, or the near spelling."""
    with pytest.raises(ValueError, match=name) as refused:
        build_consumer_settings(source(**{name: "x"}))
    assert said in str(refused.value)


def test_every_mistake_is_listed():
    """Two wrong settings are two complaints in one message."""
    with pytest.raises(ValueError, match=r"group_id.*ssl_cafile"):
        build_consumer_settings(source(group_id="g", ssl_cafil="f"))


def test_messages_lose_their_secrets():
    """A password or token that a library repeats in its message is blanked out; other settings stay."""
    settings = {"sasl_plain_password": "hunter2", "proxy_url": "http://u:p@h", "ssl_cafile": "ca.pem"}
    text = without_secrets("bad hunter2 through http://u:p@h with ca.pem", settings)
    assert text == "bad *** through *** with ca.pem"
