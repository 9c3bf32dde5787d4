"""Reference inputs in the store: which of several records stands for a key, whatever the order of arrival."""

from datetime import datetime
from functools import cache
from itertools import pairwise

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcours.schemas import relations
from parcours.schemas.config import Config
from parcours.schemas.references import REFERENCES
from parcours.schemas.touchpoint import REJECTED
from parcours.transforms.merge_steps import sql
from parcours.transforms.references import merge_references, register_references
from parcours.transforms.stage import Manifest

CONTRACTS = REFERENCES["contracts"]
FILES = {"name": "dumps", "kind": "file", "format": "csv", "path": "x", "loads": "contracts"}
TOPIC = {
    **FILES,
    "name": "log",
    "kind": "kafka",
    "format": "json",
    "topics": ["log"],
    "bootstrap": ["b:1"],
    "start": "earliest",
}
CONFIG = Config.model_validate({"source": [FILES, TOPIC]})


class Tables:
    """Merges slices into an in-memory store's reference tables."""

    def __init__(self):
        self.connection = duckdb.connect(config={"threads": 1})
        for name in ("quarantine", *(f"ref_{name}" for name in REFERENCES)):
            self.connection.execute(relations.statement(name))
        self.balance = []

    def emptied(self):
        """Return these tables without rows."""
        self.connection.execute("DELETE FROM ref_contracts")
        self.balance = []
        return self

    def slice(self, source, topic, start, records, partition=0):
        """Merge one range of one log: a list of (key, valid_from, product), or of None where it is broken."""
        places = {
            "source_name": source,
            "source_topic": topic,
            "source_partition": partition,
        }
        rows, rejected = [], []
        for offset, record in enumerate(records, start):
            place = {**places, "source_offset": offset}
            if record is None:
                rejected.append(place)
            else:
                key, valid_from, product = record
                fields = {"contract_id": key, "customer_id": "c", "product": product, "attributes": []}
                rows.append({**fields, "valid_from": valid_from, **place})
        register_references(self.connection, {})
        for name, table in (
            ("staged_contracts", pa.Table.from_pylist(rows, CONTRACTS.rows)),
            ("staged_rejected", pa.Table.from_pylist(rejected, REJECTED)),
        ):
            self.connection.register(f"{name}_rows", table)
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {name}_rows")
        self.connection.execute(sql("standing"))
        before = self.said()
        count = len(records)
        manifest = Manifest(
            1, source, topic, partition, start, start + count, count, len(rows), len(rejected), 0, None, {},
            [], [], [],
        )  # fmt: skip
        merge_references(self.connection, CONFIG, [manifest], "run")
        changed = {key for (key,) in self.connection.execute("FROM changed_contracts").fetchall()}
        differ = {key for key, _, _ in before ^ self.said()}
        assert differ == changed
        counted = "SELECT fate, sum(rows)::BIGINT FROM reference_fates GROUP BY ALL"
        fates = dict(self.connection.execute(counted).fetchall())
        assert len(rows) == fates.get("loaded", 0) + fates.get("duplicate", 0)
        self.balance.append(fates.get("loaded", 0) - fates.get("demoted", 0))
        return fates

    def rows(self):
        """What is stored: by key and valid_from, the product and where it was read."""
        query = (
            "SELECT contract_id, valid_from, product, source_topic, source_partition, source_offset"
            " FROM ref_contracts"
        )
        found = self.connection.execute(query).fetchall()
        assert len(found) == sum(self.balance)
        stored = {(key, valid_from): tuple(rest) for key, valid_from, *rest in found}
        assert len(found) == len(stored)
        return stored

    def said(self):
        """What is stored, without where it was read."""
        query = "SELECT contract_id, valid_from, product FROM ref_contracts"
        return set(self.connection.execute(query).fetchall())


@cache
def tables():
    """One store for all worlds: making it costs more than filling it."""
    return Tables()


def oracle(logs):
    """The winners among all records of some logs: of the last log by name, the last record."""
    stored = {}
    for (topic, partition), records in sorted(logs.items()):
        for offset, record in enumerate(records):
            if record is not None:
                key, valid_from, product = record
                stored[key, valid_from] = (product, topic, partition, offset)
    return stored


RECORDS = st.lists(
    st.none()
    | st.tuples(
        st.sampled_from("ab"),
        st.sampled_from([None, datetime(2025, 1, 1), datetime(2025, 6, 1)]),
        st.sampled_from("xy"),
    ),
    max_size=6,
)


@st.composite
def histories(draw):
    """Some logs; and the order in which stretches of them are read, some of them twice."""
    logs = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(["f-1", "f-2", "é"]), st.integers(0, 1)), RECORDS, min_size=1
        )
    )
    pieces = []
    for log, records in logs.items():
        cuts = sorted({0, len(records), *draw(st.lists(st.integers(0, len(records)), max_size=2))})
        pieces += [(log, begin, end) for begin, end in pairwise(cuts)]
    again = draw(st.lists(st.sampled_from(pieces), max_size=2)) if pieces else []
    return logs, draw(st.permutations(pieces + again))


@settings(max_examples=40, deadline=None)
@given(histories())
def test_the_tables_depend_on_the_records_alone(history):
    """Of all records of a key and valid_from the last place counts, however they were cut and shuffled."""
    logs, pieces = history
    store = tables().emptied()
    for (topic, partition), begin, end in pieces:
        store.slice("log", topic, begin, logs[topic, partition][begin:end], partition)
    assert oracle(logs) == store.rows()


@settings(max_examples=20, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=3), st.integers(1, 3))
def test_a_file_read_anew_says_all_that_it_says(contents, step):
    """A replaced file's earlier rows go, also those past its new end and those that are broken now."""
    store = tables().emptied()
    for records in contents:
        for begin in range(0, len(records), step):
            store.slice("dumps", "f", begin, records[begin : begin + step])
        if records:  # an empty file has no range to read
            assert oracle({("f", 0): records}) == store.rows()


def test_what_a_record_becomes_is_counted():
    """A later record is loaded and demotes the one it replaces; an earlier or equal one is a duplicate."""
    store = tables().emptied()
    assert {"loaded": 1, "duplicate": 1} == store.slice(
        "dumps", "f-2", 0, [("a", None, "x"), ("a", None, "y")]
    )
    assert {"duplicate": 1} == store.slice("dumps", "f-1", 0, [("a", None, "z")])
    assert {"loaded": 1, "demoted": 1} == store.slice("dumps", "f-3", 0, [("a", None, "z")])
    assert {"loaded": 1} == store.slice("dumps", "f-4", 0, [("a", datetime(2025, 1, 1), "z")])
    assert {"duplicate": 1} == store.slice("dumps", "f-4", 0, [("a", datetime(2025, 1, 1), "z")])
    assert {("a", None), ("a", datetime(2025, 1, 1))} == set(store.rows())


@pytest.mark.parametrize("again", [("a", None, "y"), ("b", None, "x"), None])
def test_a_place_read_again_speaks_anew(again):
    """A record of a topic that is read again, under another mapping, replaces what it said before."""
    store = tables().emptied()
    store.slice("log", "t", 0, [("z", None, "x"), ("a", None, "x")])
    fates = store.slice("log", "t", 1, [again])
    assert {"demoted": 1} | ({"loaded": 1} if again else {}) == fates
    assert oracle({("t", 0): [("z", None, "x"), again]}) == store.rows()


def test_nothing_arrives():
    """A slice without records of a reference input changes none, and says so in the same tables."""
    store = tables().emptied()
    store.slice("dumps", "f", 0, [("a", None, "x")])
    merge_references(store.connection, CONFIG, [], "run")
    for name in ("changed_customers", "changed_contracts", "changed_aliases", "reference_fates"):
        assert [] == store.connection.execute(f"FROM {name}").fetchall()
    assert 1 == len(store.rows())
