"""The Data Docs of a store with a fault, in a real browser without a network."""

import io
from datetime import datetime

import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from parcours.pipelines.checks import docs_page, quality_folder
from parcours.pipelines.store import Store
from parcours.quality.standing import standing_rules
from parcours.quality.suites import run_suites
from stores import config_of

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]

RED, GREEN = (0xC6, 0x28, 0x28), (0x18, 0x79, 0x4E)

EVENTS = """
INSERT INTO touchpoints BY NAME
SELECT 'e' || i AS event_id, TIMESTAMP '2025-03-01' + to_hours(i) AS occurred_at, 'C1' AS profile_id,
    true AS identified, 'C1' AS customer_id, 'call' AS event_type, [] AS roles, 'phone' AS channel,
    false AS is_direct, [] AS consent, [] AS attributes, 'web' AS source_name, 'log' AS source_topic,
    0 AS source_partition, i AS source_offset, TIMESTAMP '2025-03-09' AS loaded_at, 'r1' AS run_id,
    i AS event_key, ''::BLOB AS content_sha256
FROM range(1, 50) AS numbers(i)
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The config of a store in which one event stands twice, checked; and what was found of it."""
    config = config_of(tmp_path_factory.mktemp("docs") / "store.duckdb")
    with Store(config.store.path) as store:
        store.connection.execute(EVENTS)
        store.connection.execute("INSERT INTO touchpoints FROM touchpoints ORDER BY event_key LIMIT 1")
        rules = standing_rules(config, now=datetime(2025, 3, 10), relations={"touchpoints"})
        stops = [rule for rule in rules if rule.severity == "stop"]
        findings = run_suites(store.connection, stops, quality_folder(store.path), name="planted")
    return config, {finding.rule.name: finding for finding in findings}


@pytest.fixture
def page(chromium):
    """An empty page of a browser that reaches no network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(viewport={"width": 1200, "height": 800}, offline=True).new_page()
        yield page
        browser.close()


def colours(png, *box):
    """Return the colours of a screenshot, or of a part of it."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return {colour for _, colour in (picture.crop(box) if box else picture).getcolors(maxcolors=1 << 24)}


def test_people_see_which_rule_failed_and_how_often(checked, page):
    """From the index to the failed suite: the rule's sentence, its count, and the mark, seen as pixels."""
    config, findings = checked
    planted = findings["touchpoints.event_id_unique"]
    assert ["touchpoints.event_id_unique"] == [name for name, found in findings.items() if not found.passed]
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(docs_page(config).absolute().as_uri())
    page.get_by_role("row", name="failed touchpoints planted").get_by_role("link").click()
    failed = page.get_by_role("row").filter(has_text=planted.rule.english)
    fine = page.get_by_role("row").filter(has_text=findings["touchpoints.person"].rule.english)
    assert failed.is_visible()
    assert str(planted.failed) in failed.inner_text()
    assert "0" == fine.get_by_role("cell").last.inner_text().strip()

    shot = page.screenshot(full_page=True)
    width, height = Image.open(io.BytesIO(shot)).size
    assert (1200, True) == (width, height >= 800)
    assert len(colours(shot)) > 20
    for row, mark, other in ((failed, RED, GREEN), (fine, GREEN, RED)):
        box = row.locator("i").bounding_box()
        left, top = int(box["x"]), int(box["y"])
        seen = colours(shot, left, top, int(left + box["width"]), int(top + box["height"]))
        assert (True, False) == (mark in seen, other in seen)
    assert [] == [url for url in asked if not url.startswith("file:")]
