"""Connections to a real broker: refused, secured, silent, and away for a while."""

import socket
import threading
import time

import pyarrow as pa
import pytest
from kafka import KafkaProducer
from kafka_reading import SMALL_FETCHES, commit, plan, read, send

from parcours.transforms.sources.contract import SourceUnavailableError

pytestmark = pytest.mark.kafka


def test_an_unreachable_broker_is_named_soon(opened, topic):
    """Within the time that a connection may take, with the address and what to check."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
    source = opened(None, topic, bootstrap=nowhere, kafka={"bootstrap_timeout_ms": 1_500})
    begun = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=rf"{nowhere} cannot be read.*bootstrap"):
        plan(source)
    assert time.monotonic() - begun < 6


def test_sasl_over_tls(kafka, opened, topic, producer):
    """Security settings reach both connections, the one that plans and the one that reads."""
    send(producer, topic, 30)
    settings = dict(kafka.secure_settings)
    bootstrap = settings.pop("bootstrap_servers")
    source = opened(kafka, topic, bootstrap=bootstrap, kafka=settings)
    found, _ = read(source, plan(source).ranges)
    assert found.num_rows == 30


@pytest.mark.parametrize(
    "wrong",
    [
        # some brokers say it, others hang up
        ("(invalid credentials|socket disconnected)", {"sasl_plain_password": "swordfish"}),
        ("certificate verify failed", {"ssl_cafile": None}),
    ],
)
def test_a_refused_connection_says_why_and_no_secret(kafka, opened, topic, wrong):
    """A wrong password or an unknown certificate ends soon, with a reason and without the password."""
    why, changed = wrong
    settings = {**kafka.secure_settings, "bootstrap_timeout_ms": 2_000, **changed}
    bootstrap = settings.pop("bootstrap_servers")
    with pytest.raises(SourceUnavailableError, match=rf"cannot be read.*{why}.*sasl_\*") as refused:
        plan(opened(kafka, topic, bootstrap=bootstrap, kafka=settings))
    assert settings["sasl_plain_password"] not in str(refused.value)


@pytest.fixture(scope="module")
def stoppable(kafka_service):
    """A broker that tests may stop and start: nobody else's."""
    with kafka_service.KafkaBroker(brief=True) as broker:
        yield broker


def test_silence_fails_the_range_with_its_reason(stoppable, opened):
    """A broker that went away for longer than the limit: the range fails, and says where it was."""
    broker = stoppable
    broker.create_topic("silent")
    with KafkaProducer(bootstrap_servers=broker.bootstrap, batch_size=16_000, linger_ms=50) as producer:
        send(producer, "silent", 80_000)
    settings = {**SMALL_FETCHES, "bootstrap_timeout_ms": 500}
    source = opened(broker, "silent", stall_seconds=2, kafka=settings)
    (only,) = plan(source).ranges
    reading = source.read(only)
    next(reading)
    broker.stop()
    said = r'partition="silent\[0\]" offset="{}".*{}'
    with pytest.raises(SourceUnavailableError, match=said.format(r"\d+", "no progress for 2 s")):
        list(reading)
    with pytest.raises(SourceUnavailableError, match=said.format("0", "cannot be read")):
        read(opened(broker, "silent", stall_seconds=1, kafka=settings), [only])
    broker.start()


@pytest.mark.parametrize("case", [(True, 10), (False, 1)])
def test_a_broker_that_is_away(stoppable, opened, case):
    """Stopped in the middle of a read and started again: every record arrives once."""
    whole_batches, seconds = case
    broker, topic = stoppable, f"away-{seconds}"
    broker.create_topic(topic)
    with KafkaProducer(bootstrap_servers=broker.bootstrap, batch_size=16_000, linger_ms=50) as producer:
        send(producer, topic, 120_000)
    source = opened(broker, topic, whole_batches=whole_batches, kafka=SMALL_FETCHES)
    (only,) = plan(source).ranges
    reading = source.read(only)
    first = next(reading)
    broker.stop()
    stopped = time.monotonic()
    back = threading.Timer(seconds, broker.start)
    back.start()
    *batches, end = reading
    assert time.monotonic() - stopped > seconds
    back.join()
    offsets = pa.concat_arrays([each.records["offset"] for each in [first, *batches]])
    assert offsets.to_pylist() == list(range(120_000))
    assert (end.read, end.gap) == (120_000, 0)
    assert plan(source, commit([end])).ranges == ()
