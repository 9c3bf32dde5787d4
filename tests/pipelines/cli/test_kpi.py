"""``parcours kpi``: what it lists, shows, computes and writes, and what it refuses."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from parcours.pipelines.config import load_config
from stores import load

CONFIG = """
[gate]
at_end = false

[kpi]
figures = ["revenue", "by_phone"]

[[source]]
name = "crm"
kind = "file"
format = "json"
path = "in.ndjson"
expected_every = "1d"

[taxonomy.events]
viewed = { stage = "awareness", roles = ["touch"] }
quoted = { stage = "consideration", roles = ["quote_created"] }
bought = { stage = "purchase", roles = ["purchase"], money_role = "revenue" }
answered = { stage = "service", roles = ["survey_answered"] }

[taxonomy.channels.web]
medium = "digital"

[segment.buyers]
over = "profiles"
where = "purchases > 0"

[figure.by_phone]
phase = "purchase"
kind = "share"
unit = "share"
numerator = "of those, by phone"
denominator = "touchpoints"
dimensions = ["product"]
label = { en = "By phone", fr = "Par téléphone" }
explanation = { en = "How much is done by phone.", fr = "La part du téléphone." }
rows = '''
SELECT occurred_at AS counted_at, channel = 'phone' AS numerator, 1 AS denominator, product
FROM touchpoints_then
'''
"""

EVENTS = [
    ("a1", "2026-01-01T10:00", "viewed", "ada", {}),
    ("a2", "2026-01-05T10:00", "bought", "ada", {"value": 1234.5, "currency": "EUR", "product": "=1+1"}),
    ("a3", "2026-01-06T10:00", "bought", "ada", {"value": 20, "currency": "CHF", "channel": "phone"}),
    ("b1", "2026-03-01T10:00", "bought", "bob", {"value": 100, "currency": "EUR", "product": "auto"}),
    ("b2", "2026-03-02T10:00", "viewed", "bob", {"channel": "phone"}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a config and its store."""
    folder = tmp_path_factory.mktemp("kpi")
    rows = [
        {
            "event_id": event_id,
            "occurred_at": f"{at}:00Z",
            "event_type": kind,
            "customer_id": person,
            "channel": "web",
            **fields,
        }
        for event_id, at, kind, person, fields in EVENTS
    ]
    (folder / "in.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "parcours.toml").write_text(CONFIG, "utf-8")
    source = {"name": "crm", "path": str(folder / "in.ndjson")}
    load(
        load_config(
            [folder / "parcours.toml"],
            {"store": {"path": str(folder / "parcours.duckdb")}, "source": [source]},
            {},
        )
    )
    return folder


def rows_of(parcours, folder, *arguments):
    """Compute figures in the folder; return the rows as JSON."""
    ran = parcours("kpi", "run", *arguments, "--format", "json", cwd=folder)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)["rows"]


def test_amounts_of_two_currencies_are_rows_of_their_own(parcours, folder):
    """Nothing adds euros to francs; the month without revenue between two is listed with 0."""
    rows = rows_of(parcours, folder, "revenue")
    assert [
        (["CHF"], "2026-01-01", 20.0),
        (["EUR"], "2026-01-01", 1234.5),
        (["EUR"], "2026-02-01", 0.0),
        (["EUR"], "2026-03-01", 100.0),
    ] == [(row["dimension_values"], row["period_start"], row["value"]) for row in rows]
    assert {"currency"} == {name for row in rows for name in row["dimensions"]}


def test_names_with_commas_are_crossed_and_repeated_ones_are_not(parcours, folder):
    """--by a,b is one row set of both; --by a --by b are two; null is a group."""
    crossed = rows_of(parcours, folder, "revenue", "--by", "channel,product", "--grain", "year")
    assert [
        ["phone", None, "CHF"],
        ["web", "=1+1", "EUR"],
        ["web", "auto", "EUR"],
    ] == [row["dimension_values"] for row in crossed]
    apart = rows_of(parcours, folder, "revenue", "--by", "channel", "--by", "product", "--grain", "year")
    assert {("channel", "currency"), ("product", "currency")} == {tuple(row["dimensions"]) for row in apart}


def test_what_cuts_every_row_is_named_once(parcours, folder):
    """Currency is there unasked; total beside another name means nothing."""
    for by in ("currency", "total,currency", "total"):
        rows = rows_of(parcours, folder, "revenue", "--by", by, "--grain", "year")
        assert {("currency",)} == {tuple(row["dimensions"]) for row in rows}


def test_segments_and_zone_are_the_config_s(parcours, folder, tmp_path):
    """What was edited since the last run counts at once: a segment, the zone that days begin in."""
    edited = CONFIG.replace("segment.buyers", "segment.new").replace(
        "[kpi]", f"[store]\npath = '{folder}/parcours.duckdb'\n\n[kpi]\ntime_zone = 'Pacific/Kiritimati'"
    )
    (tmp_path / "parcours.toml").write_text(edited, "utf-8")
    rows = rows_of(parcours, tmp_path, "by_phone", "--grain", "day", "--segment", "new")
    assert ("2026-01-02", 1) == (rows[0]["period_start"], rows[0]["denominator"])
    assert "2026-03-03" == rows[-1]["period_start"]  # ten in the morning of the second, UTC
    rows = rows_of(parcours, tmp_path, "stage_conversion", "--grain", "day")
    assert {"Pacific/Kiritimati"} == {json.loads(row["options"])["time_zone"] for row in rows}


def test_one_s_own_figure_that_fails_on_data_is_named_and_left_out(parcours, folder, tmp_path):
    """The others answer; asked for alone it is a clear error. A dollar is written twice."""
    edited = CONFIG.replace(
        "channel = 'phone' AS numerator", "channel::INTEGER = 1 AND '$$5' <> '' AS numerator"
    )
    edited = edited.replace("[kpi]", f"[store]\npath = '{folder}/parcours.duckdb'\n\n[kpi]")
    (tmp_path / "parcours.toml").write_text(edited, "utf-8")
    ran = parcours("kpi", "run", "by_phone", cwd=tmp_path)
    assert ran.code == 2
    assert "by_phone cannot be computed: Conversion Error: Could not convert string" in ran.err
    ran = parcours("kpi", "run", "--all", "--format", "json", cwd=tmp_path)
    assert ran.code == 0
    assert "left out: by_phone cannot be computed" in ran.err


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        (("--where", "channel = 'phone'"), 20.0),
        (("--where", "product = 'auto'"), 100.0),
        (("--as-of", "2026-02-01"), 1254.5),
        (("--segment", "buyers"), 1354.5),
    ],
)
def test_limits(parcours, folder, limit, value):
    """A condition, an instant or a segment limit what is counted."""
    assert value == sum(
        row["value"] for row in rows_of(parcours, folder, "revenue", "--grain", "year", *limit)
    )


def test_what_a_limit_leaves_is_told(parcours, folder):
    """The options of a row say the condition, and the definition differs with it."""
    (all_,) = rows_of(parcours, folder, "by_phone", "--grain", "year")
    (some,) = rows_of(parcours, folder, "by_phone", "--grain", "year", "--where", "product IS NULL")
    assert (5, 3) == (all_["denominator"], some["denominator"])
    assert "product IS NULL" == json.loads(some["options"])["where"]
    assert all_["definition"] != some["definition"]


def test_a_source_that_has_not_delivered_past_a_period_is_named(parcours, folder):
    """The last month is not mature, and says which source it waits for."""
    rows = rows_of(parcours, folder, "by_phone")
    assert [([], True), ([], True), (["crm"], False)] == [
        (r["incomplete_sources"], r["mature"]) for r in rows
    ]


def test_a_figure_that_lacks_an_input_says_so(parcours, folder):
    """There are no rows, never 0: in the table a line, in JSON a key."""
    ran = parcours("kpi", "run", "contract_churn", "cost_per_acquisition", "--format", "json", cwd=folder)
    assert {
        "rows": [],
        "not_available": {"contract_churn": ["contracts"], "cost_per_acquisition": ["spend"]},
        "left_out": {},
    } == json.loads(ran.out)
    assert "contract_churn: not available: needs contracts" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("revenu",), 'there is no figure "revenu"; did you mean "revenue"?'),
        (("revenue", "--grain", "moth"), 'there is no grain "moth"; did you mean "month"?'),
        (("revenue", "--by", "chanel"), 'no figure is cut by "chanel"; did you mean "channel"?'),
        (("csat", "--by", "currency"), "csat has no rows by currency; it has the grains day"),
        (
            ("tenure", "--grain", "day"),
            "tenure has no rows by the day; it has the grains month, quarter, year",
        ),
        (
            ("revenue", "--where", "chanel = 'web'"),
            '"chanel" is no column of touchpoints; did you mean "channel"?',
        ),
        (("revenue", "--where", "channel ="), "it is no condition"),
        (("revenue", "--segment", "buyer"), 'there is no segment "buyer"; did you mean "buyers"?'),
        (
            ("cost_per_acquisition", "--segment", "buyers"),
            "counts what names no person: segment cannot limit it",
        ),
        (("revenue", "--as-of", "tomorrow"), '"tomorrow"'),
        (("revenue", "--as-of", "0001-01-01T00:00+05:00"), '"0001-01-01T00:00+05:00" is no time'),
        (
            ("revenue", "--where", "occurred_at + to_years(CAST(value AS INTEGER) * 9999) > occurred_at"),
            "cannot be computed",
        ),
        (("revenue", "--out", "x.csv"), "say --format csv, json or parquet"),
        (("revenue", "--format", "csv", "--out", "nowhere/x.csv"), 'there is no folder "nowhere"'),
        (("revenue", "--all"), "name figures or say --all, not both"),
        ((), "name the figures, or say --all"),
        (("revenue", "--format", "parquet"), "say --out PATH"),
    ],
)
def test_what_does_not_exist_is_refused(parcours, folder, arguments, said):
    """The message names what is wrong and what is near; nothing is computed."""
    ran = parcours("kpi", "run", *arguments, cwd=folder)
    assert ran.code == 2
    assert said in ran.err


def test_french_excel_opens_the_csv(parcours, folder, tmp_path):
    """A byte order mark, semicolons, decimal commas, French words and dates; a formula is disarmed."""
    out = tmp_path / "revenue.csv"
    ran = parcours(
        *("kpi", "run", "revenue", "--by", "product", "--grain", "year", "--format", "csv"),
        *("--lang", "fr", "--out", out),
        cwd=folder,
    )
    assert ran.code == 0, ran.err
    raw = out.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines(), delimiter=";"))
    by_product = {row["valeurs"]: row for row in rows}
    formula = by_product["'=1+1 | EUR"]
    assert ("Ventes hors cotisations", "montant", "année", "01/01/2026", "1234,5", "oui", "non") == tuple(
        formula[name]
        for name in ("libellé", "unité", "maille", "début de période", "valeur", "additif", "période aboutie")
    )


def test_parquet_keeps_types(parcours, folder, tmp_path):
    """Dates are dates, lists are lists."""
    ran = parcours(
        *("kpi", "run", "revenue", "by_phone", "--format", "parquet", "--out", tmp_path / "f.parquet"),
        cwd=folder,
    )
    assert ran.code == 0, ran.err
    table = pq.read_table(tmp_path / "f.parquet")
    assert ("date32[day]", "bool") == tuple(
        str(table.schema.field(n).type) for n in ("period_start", "mature")
    )
    assert {"revenue", "by_phone"} == set(table["kpi"].to_pylist())


def test_all_figures_answer(parcours, folder):
    """Every figure is computed or says what it needs; those that cannot be limited are left out."""
    ran = parcours("kpi", "run", "--all", "--where", "channel = 'web'", "--format", "json", cwd=folder)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert {"revenue", "by_phone", "visits"} <= {row["kpi"] for row in found["rows"]}
    assert "left out: indicator counts what names no person" in ran.err
    assert "experiment_lift, experiment_factors have columns of their own" in ran.err


def test_list_and_show_say_what_is_missing(parcours, folder):
    """The list has every figure, one's own too; show has the definition and the SQL."""
    listed = json.loads(parcours("kpi", "list", "--json", cwd=folder).out)
    by_name = {row["kpi"]: row for row in listed}
    assert by_name["by_phone"]["available"]
    assert ["contracts"] == by_name["contract_churn"]["missing"]
    shown = parcours("kpi", "show", "quote_to_bind", "--lang", "fr", "--sql", cwd=folder)
    assert "Taux de transformation des devis" in shown.out
    assert "needs role:contract_signed" in shown.out
    assert "FROM quotes_then" in shown.out
    assert 'did you mean "quote_to_bind"' in parcours("kpi", "show", "quote_to_bin", cwd=folder).err


def test_the_store_has_the_relations_that_were_asked_for(parcours, folder):
    """[kpi] figures names them; the catalogue lists all."""
    ran = parcours(
        "query",
        "FROM kpi_revenue WHERE grain = 'year' AND dimensions = ['currency']",
        "--format",
        "json",
        cwd=folder,
    )
    assert [20.0, 1334.5] == sorted(row["value"] for row in json.loads(ran.out))
    assert "kpi_csat" in parcours("query", "FROM kpi_csat", cwd=folder).err
    listed = parcours("query", "SELECT count(*) AS n FROM kpi_catalogue", "--format", "json", cwd=folder)
    assert json.loads(listed.out)[0]["n"] > 90


def test_an_empty_store_has_no_rows_and_no_error(parcours, tmp_path):
    """Every figure of nothing is nothing."""
    (tmp_path / "parcours.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "in.ndjson").touch()
    assert parcours("run").code == 0
    ran = parcours("kpi", "run", "--all", "--format", "json")
    assert ran.code == 0, ran.err
    assert [] == json.loads(ran.out)["rows"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("rows = '''", "its rows cannot be computed"),
        ("[figure.nps]", "the catalogue has a figure of this name"),
        ("[figure.ByPhone]", "a figure's name is in snake_case"),
        ('options = ["margins"]\nlabel', '"margins" is no key of [kpi]; did you mean "margin"?'),
        ('kind = "shares"', 'did you mean "share"?'),
        ('kind = "conversion"', 'the kind "conversion" is that of one figure'),
        ('figures = ["revenu"', '"revenu" is no figure and no phase; did you mean "revenue"?'),
    ],
)
def test_mistakes_in_own_figures_stop_before_anything_is_read(parcours, tmp_path, written, said):
    """Each names its place and what is near."""
    changed = {
        "rows = '''": CONFIG.replace("FROM touchpoints_then", "FROM touchpoint_then"),
        "[figure.nps]": CONFIG.replace("figure.by_phone", "figure.nps"),
        "[figure.ByPhone]": CONFIG.replace("figure.by_phone", "figure.ByPhone"),
        'kind = "shares"': CONFIG.replace('kind = "share"', 'kind = "shares"'),
        'kind = "conversion"': CONFIG.replace('kind = "share"', 'kind = "conversion"'),
        'figures = ["revenu"': CONFIG.replace('["revenue"', '["revenu"'),
    }
    text = changed.get(written) or CONFIG.replace("label", written, 1)
    (tmp_path / "parcours.toml").write_text(text, "utf-8")
    ran = parcours("config", "check")
    assert ran.code == 3
    assert said in ran.err
