"""The page of tables is what the comments say."""

from pathlib import Path

from parcours.kpis.catalogue import figures
from parcours.pipelines.describe import as_markdown, empty_store
from parcours.pipelines.describe_figures import as_markdown as figures_as_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date():
    """docs/tables.md is what the relations' comments render to; make tables writes it."""
    with empty_store() as store:
        assert (ROOT / "docs" / "tables.md").read_text("utf-8") == as_markdown(store)


def test_every_relation_is_on_the_page():
    """Each table, view and macro that users can query has its heading, and each column its line."""
    with empty_store() as store:
        page = as_markdown(store)
        made = store.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
            " UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
            " UNION ALL SELECT function_name || '(' || array_to_string(parameters, ', ') || ')'"
            " FROM duckdb_functions() WHERE NOT internal"
        ).fetchall()
        columns = store.execute(
            "SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
        ).fetchall()
    headings = [line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")]
    assert sorted(name for (name,) in made) == sorted(headings)
    lines = [line for line in page.splitlines() if line.startswith("| ") and "| column |" not in line]
    assert columns == [(len(lines),)]


def test_the_page_of_figures_is_up_to_date():
    """docs/kpis.md is what the catalogue's records render to; make tables writes it."""
    assert (ROOT / "docs" / "kpis.md").read_text("utf-8") == figures_as_markdown(figures())
