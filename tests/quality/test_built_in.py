"""The built-in standing rules: stores that parcours made break none; each finds what is wrong by its name."""

import re
import shutil
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from parcours.pipelines.simulate import simulate
from parcours.quality.standing import standing_rules
from stores import REFERENCES, config_of, file_source, load

FIGURES = ("stage_conversion", "csat", "nps", "experiment_lift")


def made(folder, seed, events, figures=(), *, apart=False, **source):
    """A store of the simulated insurer, with duplicates, conflicts and late events; its config.

    ``apart``: every other file is loaded by a second run, and one of the first run once more.
    """
    duplicates = 0.3 if apart else 0.15
    simulate(events, seed, "json", folder / "in", files=8, broken=0, duplicates=duplicates, late=0.1)
    names = [name.removeprefix("ref_") for name in REFERENCES]
    inputs = [file_source(folder / "in" / f"{name}.csv", "csv", name, loads=name) for name in names]
    config = config_of(
        folder / "store.duckdb",
        file_source(folder / "in" / "*.ndjson", **source),
        *inputs,
        kpi={"figures": figures[1:]},
        gate={"figures": figures, "quarantine_least": 20, "at_end": False},
    )
    if apart:
        files = sorted((folder / "in").glob("*.ndjson"))
        for file in files[::2]:
            file.rename(file.with_suffix(".later"))
        load(config)
        for file in files[::2]:
            file.with_suffix(".later").rename(file)
        shutil.copy(files[1], folder / "in" / "again.ndjson")
    load(config)
    return config


def rules_of(connection, config, now=None):
    """The built-in rules that a store is held against, by name."""
    relations = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' "
        "UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    now = now or datetime.now(UTC).replace(tzinfo=None)
    found = standing_rules(config, now=now, relations={row[0] for row in relations})
    return {rule.name: rule for rule in found}


def broken(connection, rules):
    """The rules that are broken, each with the number of failures and the first id."""
    counted = {
        name: connection.execute(f"SELECT count(*), min(id) FROM ({rule.failing})").fetchone()
        for name, rule in rules.items()
    }
    return {name: row for name, row in counted.items() if row[0]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A clean store, open for writing; its config; figures computed once."""
    config = made(tmp_path_factory.mktemp("store"), 21, 1_500, FIGURES, expected_every="1h")
    with duckdb.connect(config.store.path) as connection:
        for figure in FIGURES:
            connection.execute(f"CREATE TEMP TABLE kpi_{figure} AS FROM kpi_{figure}")
        yield connection, config


def test_a_clean_store_passes(store):
    """Nothing is found in a store of all relations, conflicts and merged customers among them."""
    connection, config = store
    rules = rules_of(connection, config)
    assert {} == broken(connection, rules)
    assert {"touchpoints", "run_balances", "quarantine", "ref_targets", "kpi_csat"} <= {
        rule.relation for rule in rules.values()
    }


@pytest.mark.parametrize("seed", [8, 9])
def test_stores_of_other_seeds_pass(tmp_path, seed):
    """Nor in other stores, which grew: a later run found conflicts with what was loaded, and a file again."""
    config = made(tmp_path, seed, 900, apart=True)
    with duckdb.connect(config.store.path, read_only=True) as connection:
        grown = "SELECT count(DISTINCT run_id), sum(duplicate) > 100, sum(demoted) > 0 FROM run_balances"
        assert (2, True, True) == connection.execute(grown).fetchone()
        assert {} == broken(connection, rules_of(connection, config))


def test_an_empty_store_passes(tmp_path):
    """Where nothing was read, nothing is wrong, but that a source is late."""
    (tmp_path / "none.ndjson").write_text("")
    config = config_of(tmp_path / "store.duckdb", file_source(tmp_path / "none.ndjson", expected_every="1d"))
    load(config)
    with duckdb.connect(config.store.path, read_only=True) as connection:
        rules = rules_of(connection, config)
        assert {"source.files.late": (1, "files")} == broken(connection, rules)
        for rule in rules.values():
            if rule.observed:
                (observed,) = connection.execute(rule.observed).fetchone()
                assert isinstance(observed, str), rule.name


SETS = {
    # rule: relation, what is set in its first row that fits, and what else must be true of that row
    "touchpoints.person": ("touchpoints", "customer_id = NULL, anonymous_id = NULL", ""),
    "touchpoints.stage_known": ("touchpoints", "stage = 'Purchase'", ""),
    "touchpoints.visit": ("touchpoints", "visit_id = NULL", "visit_id IS NOT NULL"),
    "touchpoints.occurred_at_in_range": ("touchpoints", "occurred_at = TIMESTAMP '1999-12-31'", ""),
    "touchpoints.not_far_past_the_rest": ("touchpoints", "occurred_at = TIMESTAMP '2026-03-01'", ""),
    "touchpoints.event_type_mapped": (
        "touchpoints",
        "event_type = 'quote_mande', stage = NULL, roles = []",
        "",
    ),
    "touchpoints.channel_mapped": ("touchpoints", "channel = 'sit', medium = NULL", ""),
    "profiles.identified": ("profiles", "identified = NOT identified", ""),
    "profiles.times_in_order": ("profiles", "last_at = first_at - INTERVAL 1 SECOND", ""),
    "profiles.touchpoints_add_up": ("profiles", "touchpoints = touchpoints + 1", ""),
    "profiles.journeys_add_up": ("profiles", "journeys = journeys + 1", ""),
    "visits.times_in_order": ("visits", "ended_at = started_at - INTERVAL 1 SECOND", ""),
    "visits.profile_known": ("visits", "profile_id = 'nobody'", ""),
    "visits.touchpoints_add_up": ("visits", "touchpoints = touchpoints + 1", ""),
    "journeys.profile_known": ("journeys", "profile_id = 'nobody'", ""),
    "journeys.times_in_order": (
        "journeys",
        "awareness_at = started_at - INTERVAL 1 SECOND",
        "awareness_at IS NOT NULL",
    ),
    "journeys.furthest_stage": ("journeys", "furthest_stage = 'awareness'", "furthest_stage = 'service'"),
    "journeys.steps_add_up": ("journeys", "touchpoints = touchpoints + 1", ""),
    "stage_visits.stage_known": ("stage_visits", "stage = 'Purchase'", "position = 1"),
    "stage_visits.times_in_order": ("stage_visits", "last_at = entered_at - INTERVAL 1 SECOND", ""),
    "stage_visits.add_up": ("stage_visits", "is_return = NOT is_return", ""),
    "stage_visits.add_up, by stage": ("journeys", "current_stage = NULL", "current_stage = 'service'"),
    "stage_visits.add_up, by journey": ("stage_visits", "journey_id = 'none'", ""),
    "stage_visits.add_up, by position": ("stage_visits", "position = 9", "position = 1"),
    "contracts.times_in_order": (
        "contracts",
        "terminated_at = signed_at - INTERVAL 1 SECOND",
        "signed_at IS NOT NULL",
    ),
    "contracts.in_reference": ("contracts", "contract_id = 'K0'", ""),
    "contracts.customer_known": ("contracts", "customer_id = 'nobody'", ""),
    "quotes.profile_known": ("quotes", "profile_id = 'nobody'", ""),
    "quotes.bound_after_quoted": (
        "quotes",
        "bound_at = quoted_at - INTERVAL 1 SECOND",
        "quoted_at IS NOT NULL",
    ),
    "quotes.contract_known": ("quotes", "contract_id = 'K0'", ""),
    "claims.profile_known": ("claims", "profile_id = 'nobody'", ""),
    "claims.closed_after_opened": (
        "claims",
        "closed_at = [opened_at - INTERVAL 1 SECOND]",
        "opened_at IS NOT NULL",
    ),
    "claims.contract_known": ("claims", "contract_id = 'K0'", ""),
    "cases.profile_known": ("cases", "profile_id = 'nobody'", ""),
    "cases.answered_after_opened": (
        "cases",
        "answered_at = [opened_at - INTERVAL 1 SECOND]",
        "opened_at IS NOT NULL",
    ),
    "cases.closed_after_opened": (
        "cases",
        "closed_at = [opened_at - INTERVAL 1 SECOND]",
        "opened_at IS NOT NULL",
    ),
    "ref_targets.kpi_known": ("ref_targets", "kpi = 'csta'", ""),
    "ref_targets.dimension_known": ("ref_targets", "kpi = 'csat', dimension = 'weather=fine'", ""),
    "run_balances.closes": ("run_balances", "read = read + 1", "to_offset > 0"),
    "run_balances.stored": ("run_balances", "loaded = loaded - 1", ""),
    **{
        f"kpi_{figure}.{rule}": (f"kpi_{figure}", change, where)
        for figure in FIGURES
        for rule, change, where in (
            ("interval", "low = 5, value = 2", ""),
            ("denominator", "denominator = -1", ""),
        )
    },
    "kpi_stage_conversion.share": ("kpi_stage_conversion", "numerator = denominator + 1", ""),
    "kpi_csat.share": ("kpi_csat", "value = 1.5", ""),
}
"""What is done to one row, and of which."""

OTHERS = {
    "touchpoints.event_id_given": (
        "ALTER TABLE touchpoints ALTER event_id DROP NOT NULL;"
        " UPDATE touchpoints SET event_id = NULL WHERE rowid = (SELECT min(rowid) FROM touchpoints)"
    ),
    "quarantine.share": (
        "INSERT INTO quarantine BY NAME (SELECT 'q' || n AS quarantine_id, source, source_topic,"
        " source_partition, n AS source_offset, 'validate' AS step, 'out_of_range' AS reason, run_id,"
        " committed_at AS first_at, first_at AS last_at, 1 AS attempts, 'open' AS status, 'record' AS form,"
        " [] AS fixes FROM run_balances CROSS JOIN range(150) AS rows(n) WHERE source = 'files' LIMIT 150)"
    ),
    **{
        rule: f"INSERT INTO {rule.partition('.')[0]} FROM {rule.partition('.')[0]} LIMIT 1"
        for rule in (
            "touchpoints.event_id_unique",
            *(f"{word}s.{word}_id_unique" for word in ("profile", "visit", "journey", "contract")),
            *(f"{word}s.{word}_id_unique" for word in ("quote", "claim", "case")),
            "stage_visits.position_unique",
            *(f"kpi_{name}.row_unique" for name in FIGURES),
        )
    },
}
"""What one changed value does not break."""


def test_every_built_in_rule_finds_what_is_wrong(store):
    """A store in which one thing is wrong breaks the rule that is about it: by its name, and once."""
    connection, config = store
    rules = rules_of(connection, config)
    faults = OTHERS | {
        name: f"UPDATE {relation} SET {change} WHERE rowid = "
        f"(SELECT min(rowid) FROM {relation} WHERE {where or 'true'})"
        for name, (relation, change, where) in SETS.items()
    }
    shares = {"kpi_nps.share", "kpi_experiment_lift.share"}  # those are no shares
    assert set(rules) - {"source.files.late"} - shares == {case.partition(",")[0] for case in faults}
    for case, fault in faults.items():
        name = case.partition(",")[0]
        connection.begin()
        try:
            connection.execute(fault)
            failures, first = broken(connection, {name: rules[name]}).get(name, (0, None))
            assert (2 if "unique" in name or case.endswith("by journey") else 1) == failures, name
            assert first or name == "touchpoints.event_id_given", name
        finally:
            connection.rollback()


def test_a_late_source(store):
    """A source that says how often it delivers is late once it did not; a replay is no delivery."""
    connection, config = store
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    connection.begin()
    try:
        connection.execute(
            "INSERT INTO run_balances BY NAME (SELECT 'r' AS run_id, 'files' AS source, source_topic,"
            " source_partition, 0 AS from_offset, 0 AS to_offset, 1 AS read, 0 AS loaded, 1 AS duplicate,"
            f" 0 AS quarantined, 0 AS suppressed, 0 AS demoted, 0 AS gap, TIMESTAMP '{later}' AS committed_at"
            " FROM run_balances LIMIT 1)"
        )
        assert {"source.files.late": (1, "files")} == broken(connection, rules_of(connection, config, later))
    finally:
        connection.rollback()


def test_what_is_replayed_or_discarded_no_longer_holds(store):
    """Only open records count in the share, by the source's own limit where it has one."""
    connection, config = store
    connection.begin()
    try:
        connection.execute(OTHERS["quarantine.share"])
        rule = "quarantine.share"
        assert rule in broken(connection, rules_of(connection, config))
        (observed,) = connection.execute(rules_of(connection, config)[rule].observed).fetchone()
        assert re.fullmatch(r"1[0-9.]+ % of files on 20[0-9-]+ \(1[0-9]+ of 1500\)", observed), observed
        source = config.source[0].model_copy(update={"quarantine_share": 0.5})
        patient = config.model_copy(update={"source": (source, *config.source[1:])})
        assert rule not in broken(connection, rules_of(connection, patient))
        connection.execute("UPDATE quarantine SET status = 'discarded' WHERE reason = 'out_of_range'")
        assert {} == broken(connection, rules_of(connection, config))
    finally:
        connection.rollback()


def test_names_owner_and_sentences(store):
    """Names have a dot, so that no rule of a user has one; each says in both languages what is right."""
    connection, config = store
    rules = rules_of(connection, config)
    for name, rule in rules.items():
        assert "." in name
        assert ("parcours", name) == (rule.owner, rule.name)
        assert rule.english != rule.french
        assert "$" not in rule.english + rule.french + rule.failing + rule.expected + (rule.observed or "")
