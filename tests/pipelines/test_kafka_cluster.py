"""Three brokers that lose one: leaders move, nothing is lost or read twice, and no slice fails."""

import threading
import time

import pytest
from kafka import KafkaProducer
from kafka_reading import SMALL_FETCHES, commit, plan, send
from topics import produce

from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate
from parcours.schemas.config import Source, Validation
from parcours.transforms.sources.kafka import KafkaSource
from stores import assert_balanced, assert_same_stores, config_of, file_source, load, one, topic_source

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def cluster(kafka_service):
    """Three brokers of which tests may kill one; what they hold is thrown away."""
    quickly = {"broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "200"}
    broker = kafka_service.KafkaBroker(nodes=3, settings=quickly, brief=True)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def test_a_leader_that_dies_while_it_is_read(cluster):
    """The read goes on with the next leader: every record once, and the range is whole."""
    count = 60_000  # more than one batch of ours
    cluster.create_topic("led")
    with KafkaProducer(bootstrap_servers=cluster.bootstrap, batch_size=16_000, linger_ms=50) as producer:
        send(producer, "led", count)
    options = {"topics": "led", "bootstrap": cluster.bootstrap, "start": "earliest", "kafka": SMALL_FETCHES}
    config = Source(name="shop", kind="kafka", format="json", **options)
    source = KafkaSource(config, Validation())
    try:
        (only,) = plan(source).ranges
        reading = source.read(only)
        batches = [next(reading)]
        cluster.kill(cluster.leader("led"))
        *others, end = reading
        assert others
        values = [v for batch in (*batches, *others) for v in batch.records["value"].to_pylist()]
        assert [b"v%d" % n for n in range(count)] == values
        assert (end.read, end.gap) == (count, 0)
        assert plan(source, commit([end])).ranges == ()
    finally:
        source.close()
        cluster.start()


class Failover(SilentObserver):
    """Kills a leader when the second slice begins to read, and starts it again once that is loaded."""

    def __init__(self, cluster, topic):
        self._cluster, self._topic = cluster, topic
        self.begun = 0
        self.read = 0
        self.warnings = []

    def begin(self, step):
        """Kill the leader at the second slice."""
        self.begun += step == "ingest"
        if step == "ingest" and self.begun == 2:
            self._cluster.kill(self._cluster.leader(self._topic))

    def warn(self, text):
        """Keep what was said: a slice that fails is told as a warning."""
        self.warnings.append(text)

    def slice_done(self, summary):
        """Count what is loaded."""
        self.read += summary["read"]


def test_a_run_that_follows_through_a_failover(cluster, tmp_path):
    """A leader is killed in the middle and comes back, while records are written: all loaded, none twice."""
    simulate(1_200, 73, "json", tmp_path / "simulated", files=1, broken=0, duplicates=0.1)
    file = tmp_path / "simulated" / "touchpoints-0000.ndjson"
    lines = file.read_bytes().splitlines()
    cluster.create_topic("failover", 3)
    produce(cluster, "failover", lines[:800])
    store = tmp_path / "store.duckdb"
    config = config_of(store, topic_source(cluster.bootstrap, "failover"), slice_records=400)
    observer, stop, results = Failover(cluster, "failover"), threading.Event(), []

    def follow():
        results.append(runs.run(config, follow=True, observer=observer, stop=stop))

    def wait_for(count):
        deadline = time.monotonic() + 120
        while observer.read < count:
            assert following.is_alive(), "the run ended"
            assert time.monotonic() < deadline, observer.read
            time.sleep(0.05)

    following = threading.Thread(target=follow)
    following.start()
    try:
        wait_for(800)
        produce(cluster, "failover", lines[800:1_000])
        wait_for(1_000)
        cluster.start()
        produce(cluster, "failover", lines[1_000:])
        wait_for(len(lines))
    finally:
        stop.set()
        following.join()
    (result,) = results
    assert ("interrupted", len(lines), []) == (result.status, result.read, observer.warnings)
    assert observer.begun == result.slices
    assert len(lines) == one(store, "SELECT sum(read) FROM run_balances")
    expected = tmp_path / "expected.duckdb"
    load(config_of(expected, file_source(file)))
    assert_same_stores(expected, store)
    assert_balanced(store)
