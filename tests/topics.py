"""Writes lines of files to topics, as they stand."""

from kafka import KafkaProducer


def produce(broker, topic, values, *, timestamp=None, keyed=True, partitions=None):
    """Send values to a topic's partitions in turn, and wait until the broker has all of them."""
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=20, acks="all")
    partitions = partitions or sorted(producer.partitions_for(topic))
    for number, value in enumerate(values):
        key = f"key {number}".encode() if keyed else None
        where = partitions[number % len(partitions)]
        producer.send(topic, value, key, partition=where, timestamp_ms=timestamp)
    producer.flush()
    producer.close()
