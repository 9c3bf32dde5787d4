"""Data Docs that ask nobody: Great Expectations' pages without what they load from other servers.

Its pages take styles, scripts and a logo from half a dozen hosts, name the context to one of them, and show
an empty index where these do not answer. Named in ``great_expectations.yml``, these views write the same
pages with a style of their own, and an index that is a plain table.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from great_expectations.render.view import DefaultJinjaPageView

_LOADED = re.compile(
    r"<script\b.*?</script>|<(?:link|img)\b[^>]*https?://[^>]*>|<footer\b.*?</footer>|url\('https?://[^)]*\)",
    re.DOTALL,
)

_STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; max-width: 75rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; vertical-align: top; }
pre { overflow-x: auto; }
ol, ul { list-style: none; padding: 0; }
.card-header, .card-body:has(.btn-group), .lead, .collapse, [data-toggle="collapse"] { display: none; }
.fas { font-style: normal; font-weight: bold; }
.text-success { color: #18794e; }
.text-danger, .text-warning { color: #c62828; }
.fa-check-circle::before { content: "\\2714"; }
.fa-times::before, .fa-exclamation-triangle::before { content: "\\2718"; }
tr:has(.fa-times), tr:has(.fa-exclamation-triangle) { background: #fdecea; }
</style>
"""


class Page(DefaultJinjaPageView):
    """A page of a suite or of a result."""

    def render(self, document: Any, template: str | None = None, **kwargs: Any) -> str:
        """Write the page."""
        page = _LOADED.sub("", super().render(document, template, **kwargs))
        return page.replace("</head>", f"{_STYLE}</head>", 1)


class IndexLinks:
    """Hands what the index is made of on to its view."""

    def render(self, links: dict[str, Any]) -> dict[str, Any]:
        """Return the links."""
        return links


class Index:
    """The first page: every result, the newest first, then the suites as they are."""

    def render(self, links: dict[str, Any], **_: Any) -> str:
        """Write the page."""
        results = "".join(map(_result, links.get("validations_links", ())))
        suites = "".join(
            f'<li><a href="{link["filepath"]}">{escape(link["expectation_suite_name"])}</a></li>'
            for link in links.get("expectations_links", ())
        )
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="UTF-8"><title>Data Docs</title>\n'
            f"{_STYLE}</head><body><h1>Data Docs</h1>\n<h2>Results</h2>\n"
            "<table><tr><th>Status</th><th>Suite</th><th>Check</th><th>Time</th></tr>\n"
            f"{results}</table>\n<h2>Suites</h2>\n<ul>{suites}</ul>\n</body></html>\n"
        )


def _result(link: dict[str, Any]) -> str:
    mark = "fa-check-circle text-success" if link["validation_success"] else "fa-times text-danger"
    cells = (
        f'<i class="fas {mark}"></i> {"succeeded" if link["validation_success"] else "failed"}',
        f'<a href="{link["filepath"]}">{escape(link["expectation_suite_name"])}</a>',
        escape(str(link["run_name"])),
        f"{link['run_time']:%Y-%m-%d %H:%M:%S} UTC",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
