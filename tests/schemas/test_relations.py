"""The relations that users query: their columns are the contract's, and everything is commented."""

import duckdb
import pytest

from parcours.schemas import relations

ADDED = {
    "touchpoints": {"source_name", "event_key", "content_sha256"},
    "identity_links": {"other_customer_id"},
    "visits": {"channel", "source", "campaign", "content", "product"},
    "stage_visits": {"channel", "medium", "source", "campaign", "product"},
    "journeys": {"gap_seconds"},
    "journeys_now": {"gap_seconds"},
    "profiles_now": {
        *("purchases", "contracts_in_force", "unbroken_since", "referrals", "good_reviews", "last_nps"),
        *("longest_in_force_years", "tenure_years", "holds_nothing_any_more"),
    },
}
"""Columns beyond the contract's: the configured source, what duplicates are found by, the other of two
customer ids, where visits and stage visits came from (traffic and stage conversion by channel would join
every touchpoint otherwise), the gap that a journey was cut by, the ladder's facts."""

JOURNEYS = """journey_id profile_id unit unit_key started_at last_at closes_at ended_by first_channel
    last_channel touchpoints awareness_at consideration_at purchase_at service_at loyalty_at advocacy_at
    furthest_stage current_stage returns skipped_stages days_to_purchase"""
PROFILES = "profile_id identified first_at last_at touchpoints journeys"

CONTRACTS = """contract_id profile_id customer_id product held_from signed_at signed_by effective_from
    effective_to due_at terminated_at terminated_by termination_effective_to initiator reason renewed_at
    annual_premium currency signed renewals"""

QUOTES = """quote_id profile_id first_at product channel quoted_at quoted_by value currency bound_at bound_by
    contract_id"""
CLAIMS = "claim_id profile_id first_at contract_id product opened_at opened_by closed_at reopened_at"
CASES = """case_id profile_id first_at kind product channel opened_at opened_by acknowledged_at forwarded_at
    answered_at reminded_at closed_at reopened_at matched_at"""

LOADED = "valid_from attributes source_name source_topic source_partition source_offset run_id"

PROMISED = {
    "touchpoints": """event_id occurred_at customer_id anonymous_id event_type stage channel source campaign
        content product contract_id quote_id claim_id referral_id case_id value currency cost survey score
        consent experiment variant attributes source_topic source_partition source_offset broker_timestamp
        record_key headers schema_id loaded_at run_id profile_id identified stage_given roles money_role
        medium is_direct visit_id""",
    "profiles": PROFILES,
    "identity_links": "link_id anonymous_id customer_id event_id linked_at kind status",
    "decisions": "decision_id decided_at kind id customer_id run_id",
    "visits": "visit_id profile_id started_at ended_at touchpoints",
    "journeys": JOURNEYS,
    "journey_amounts": "journey_id kind currency amount",
    "journey_steps": """journey_id profile_id position event_id occurred_at event_type previous_event_type
        next_event_type channel previous_channel next_channel stage previous_stage next_stage
        seconds_since_previous visit_id""",
    "stage_visits": """journey_id position stage entered_at last_at first_event_id touchpoints is_return
        return_kind""",
    "contracts": CONTRACTS,
    "quotes": QUOTES,
    "claims": CLAIMS,
    "cases": CASES,
    "ref_customers": f"""customer_id member_since member_until region birth_year segment potential
        {LOADED}""",
    "ref_contracts": f"""contract_id customer_id product effective_from effective_to due_at annual_premium
        currency {LOADED}""",
    "ref_aliases": f"id_type id customer_id {LOADED}",
    "ref_spend": f"day campaign channel amount currency {LOADED}",
    "ref_events_held": f"event date channel headcount {LOADED}",
    "ref_indicators": f"name month value {LOADED}",
    "ref_targets": f"kpi dimension period value direction {LOADED}",
    "ref_spend_now": "day campaign channel amount currency valid_from attributes",
    "ref_events_held_now": "event date channel headcount valid_from attributes",
    "ref_indicators_now": "name month value valid_from attributes",
    "ref_targets_now": "kpi dimension period value direction valid_from attributes",
    "quarantine": """quarantine_id source source_topic source_partition source_offset broker_timestamp
        record_key headers raw step reason rule field value message run_id first_at last_at attempts status
        closed_by_run form context_id fixes content_sha256""",
    "quarantine_attempts": "quarantine_id attempt attempted_at run_id step reason rule field value message",
    "fixes": "fix_id decided_at run_id change edited note records",
    "gate": "decided_at run_id state reasons since",
    "publications": "published_at run_id file touchpoints newest_at",
    "column_profiles": """profiled_at relation column_name data_type rows nulls distinct_values least greatest
        top""",
    "runs": "run_id command started_at ended_at status rules_fingerprint",
    "run_balances": """run_id source source_topic source_partition from_offset to_offset read loaded duplicate
        quarantined suppressed demoted gap gap_reason committed_at""",
    "identity_changes": """run_id changed_at causes profiles_before profiles_after touchpoints_moved
        journeys_before journeys_after stage_conversions""",
    "journeys_now": f"{JOURNEYS} closed",
    "contracts_now": f"{CONTRACTS} began_at ended_at in_force in_force_since",
    "contract_premiums_now": "contract_id profile_id product currency annual_premium from_at until_at",
    "quotes_now": QUOTES,
    "claims_now": CLAIMS,
    "cases_now": CASES,
    "profiles_now": f"{PROFILES} rung",
}
"""The columns that queries may rely on: more may be added, none may go."""

SEVERAL = {"renewed_at"} | {
    f"{step}_at" for step in ("forwarded", "answered", "reminded", "closed", "reopened")
}
"""What may happen several times: its instants are a list."""

UNLISTED = ("quality_results", "dim_date")
"""Relations whose columns the contract leaves open."""


@pytest.fixture(scope="module")
def catalog():
    """A connection in which every relation was created, in the order of creation."""
    with duckdb.connect() as connection:
        for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
            connection.execute(relations.statement(name))
        yield connection


def columns(catalog, relation):
    """A relation's columns and types, in order."""
    query = (
        "SELECT column_name, data_type FROM duckdb_columns()"
        " WHERE schema_name = 'main' AND table_name = ? ORDER BY column_index"
    )
    return dict(catalog.execute(query, [relation]).fetchall())


@pytest.mark.parametrize("relation", PROMISED)
def test_columns_are_those_promised(catalog, relation):
    """Each promised column is there, and none that nobody gave a reason for."""
    promised = set(PROMISED[relation].split()) | ADDED.get(relation, set())
    assert promised == set(columns(catalog, relation))


def test_nothing_else_is_made(catalog):
    """The store's tables and views are the promised ones."""
    made = catalog.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
        " UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    assert {*PROMISED, *UNLISTED} == {name for (name,) in made}


def test_types_are_those_promised(catalog):
    """Times are TIMESTAMP, ids and words VARCHAR, counts BIGINT, amounts DECIMAL(18,4)."""
    for relation in PROMISED:
        for column, type_ in columns(catalog, relation).items():
            if column == "schema_id":  # a number of the registry's, not ours
                assert type_ == "INTEGER"
            elif column == "member_since":  # a day, not an instant
                assert type_ == "DATE"
            elif column.endswith(("_at", "_since", "_timestamp")):
                expected = "TIMESTAMP[]" if column in SEVERAL else "TIMESTAMP"
                assert expected == type_, f"{relation}.{column}"
            elif column.endswith("_id"):
                assert type_ == "VARCHAR", f"{relation}.{column}"
            elif column in ("cost", "amount", "annual_premium") or (relation, column) in (
                ("touchpoints", "value"),
                ("quotes", "value"),
            ):
                assert type_ == "DECIMAL(18,4)", f"{relation}.{column}"
            elif column in ("touchpoints", "journeys", "position", "returns", "attempts", "read", "loaded"):
                assert type_ == "BIGINT", f"{relation}.{column}"


def test_everything_is_commented(catalog):
    """Each table, view, macro and column says what it holds, in a sentence."""
    comments = catalog.execute(
        "SELECT table_name, comment FROM duckdb_tables()"
        " UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
        " UNION ALL SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal"
        " UNION ALL SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"
        " WHERE NOT internal AND schema_name = 'main'"
    ).fetchall()
    assert len(comments) > 200
    assert [] == [name for name, comment in comments if not (comment or "").strip().endswith(".")]
