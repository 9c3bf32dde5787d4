"""What tests of the Kafka source share."""

import pytest
from kafka import KafkaProducer

from parcours.schemas.config import Source, Validation
from parcours.transforms.sources.kafka import KafkaSource


@pytest.fixture
def topic(kafka, request):
    """A fresh topic of one partition, named after the test."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    kafka.create_topic(name)
    return name


@pytest.fixture
def opened():
    """Opens sources and closes them after the test."""
    sources = []

    def make(broker, *topics, max_record_bytes=10**7, whole_batches=True, stall_seconds=60, **options):
        options = {"start": "earliest", "bootstrap": broker and broker.bootstrap, **options}
        config = Source(name="shop", kind="kafka", format="json", topics=topics, **options)
        validation = Validation(max_record_bytes=max_record_bytes)
        sources.append(
            KafkaSource(config, validation, whole_batches=whole_batches, stall_seconds=stall_seconds)
        )
        return sources[-1]

    yield make
    for source in sources:
        source.close()


@pytest.fixture
def producer(kafka):
    """A producer whose batches are as large as what is sent before a flush."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=100, batch_size=500_000) as made:
        yield made
