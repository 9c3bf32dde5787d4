"""``parcours kpi`` of figures with columns of their own: stage conversion, and lifts of tests."""

import csv
import json

import pytest

from parcours.pipelines.config import load_config
from stores import load

CONFIG = """
[gate]
at_end = false

[kpi]
figures = []

[[source]]
name = "crm"
kind = "file"
format = "json"
path = "in.ndjson"

[taxonomy.events]
seen = { stage = "awareness" }
bought = { stage = "purchase", roles = ["purchase"] }

[experiment.form]
control = "old"
minimum_sample = 2

[segment.buyers]
over = "profiles"
where = "purchases > 0"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a config and its store: of two who saw each form, those of the new one bought."""
    folder = tmp_path_factory.mktemp("kpi")
    rows = [
        (
            "2026-01-01",
            {"customer_id": f"{form}{n}", "event_type": "seen", "experiment": "form", "variant": form},
        )
        for form in ("old", "new")
        for n in range(2)
    ]
    rows += [("2026-01-02", {"customer_id": f"new{n}", "event_type": "bought"}) for n in range(2)]
    rows += [("2026-02-15", {"customer_id": "late", "event_type": "seen"})]
    text = "".join(
        json.dumps({"event_id": f"e{n}", "occurred_at": f"{day}T10:00:00Z", "channel": "web", **row}) + "\n"
        for n, (day, row) in enumerate(rows)
    )
    (folder / "in.ndjson").write_text(text, "utf-8")
    (folder / "parcours.toml").write_text(CONFIG, "utf-8")
    changed = {
        "store": {"path": str(folder / "parcours.duckdb")},
        "source": [{"name": "crm", "path": str(folder / "in.ndjson")}],
    }
    load(load_config([folder / "parcours.toml"], changed, {}))
    return folder


def test_a_lift_has_its_columns_whatever_the_grain(parcours, folder):
    """Its one period answers for all; the config's control and sample count."""
    ran = parcours("kpi", "run", "experiment_lift", "--grain", "week", "--format", "json", cwd=folder)
    assert ran.code == 0, ran.err
    assert [(["form", "new"], "all", 2, 2, 1.0, "old"), (["form", "old"], "all", 0, 2, 0.0, "old")] == [
        tuple(
            row[name] for name in ("dimension_values", "grain", "numerator", "denominator", "rate", "control")
        )
        for row in json.loads(ran.out)["rows"]
    ]
    shown = parcours("kpi", "run", "experiment_lift", cwd=folder).out.splitlines()
    assert shown[0].split()[:4] == ["kpi", "period_start", "by", "of"]
    assert "control_rate" not in shown[0] and "verdict" in shown[0]


def test_french_excel_reads_verdicts_and_stages(parcours, folder, tmp_path):
    """Headings, verdicts and stages are in French, what the data says is as it is."""

    def french(name):
        out = tmp_path / f"{name}.csv"
        arguments = ("--grain", "year", "--format", "csv", "--lang", "fr", "--out", str(out))
        ran = parcours("kpi", "run", name, *arguments, cwd=folder)
        assert ran.code == 0, ran.err
        with out.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, delimiter=";"))

    assert [("form | new", "old", "meilleur"), ("form | old", "old", "témoin")] == [
        (row["valeurs"], row["témoin"], row["verdict"]) for row in french("experiment_lift")
    ]
    first = french("stage_conversion")[0]
    assert ("notoriété", "considération", "0") == tuple(
        first[name] for name in ("étape de départ", "étape d'arrivée", "numérateur")
    )


def test_stage_conversion_is_asked_as_other_figures_are(parcours, folder):
    """By period and by one of its dimensions; in the order of the stages."""
    ran = parcours(
        "kpi", "run", "stage_conversion", "--grain", "year", "--by", "channel", "--format", "json", cwd=folder
    )
    rows = json.loads(ran.out)["rows"]
    assert [("awareness", "consideration", 0, 5), ("awareness", "purchase", 2, 5)] == [
        tuple(row[name] for name in ("from_stage", "to_stage", "numerator", "denominator"))
        for row in rows[:2]
    ]
    assert {("year", "channel", "web")} == {
        (row["grain"], *row["dimensions"], *row["dimension_values"]) for row in rows
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("experiment_lift", "stage_conversion"), "have different columns: run them one by one"),
        (("stage_conversion", "--by", "channel,source"), "stage_conversion has no rows by channel, source"),
        (
            ("experiment_lift", "--by", "channel"),
            "experiment_lift has no rows by channel; it has the grains all",
        ),
    ],
)
def test_what_they_cannot_be_asked_is_refused(parcours, folder, arguments, said):
    """Nothing is computed."""
    ran = parcours("kpi", "run", *arguments, cwd=folder)
    assert ran.code == 2
    assert said in ran.err


def test_they_are_listed_and_shown(parcours, folder):
    """The list and the catalogue have them; show says what to filter on."""
    listed = {row["kpi"]: row for row in json.loads(parcours("kpi", "list", "--json", cwd=folder).out)}
    assert listed["stage_conversion"]["available"] and listed["experiment_lift"]["available"]
    assert "[experiment.NOM]" in parcours("kpi", "show", "experiment_lift", "--lang", "fr", cwd=folder).out
    shown = parcours("kpi", "show", "experiment_factors", cwd=folder).out
    assert "WHERE grain = 'all' AND dimensions = ['experiment', 'factor', 'level']" in shown
    query = "SELECT kpi FROM kpi_catalogue WHERE kind IN ('conversion', 'lift') ORDER BY kpi"
    told = json.loads(parcours("query", query, "--format", "json", cwd=folder).out)
    assert ["experiment_factors", "experiment_lift", "stage_conversion"] == [row["kpi"] for row in told]
