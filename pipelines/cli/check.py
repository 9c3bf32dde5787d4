"""``parcours check``: hold the store against its rules."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli import exits
from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.gate import state_text
from parcours.pipelines.cli.observing import observers
from parcours.pipelines.cli.options import config_options, log_option, read
from parcours.pipelines.cli.render import NO_EDGE, show
from parcours.pipelines.cli.root import parcours_command
from parcours.pipelines.cli.run import silent_workers, store_options

if TYPE_CHECKING:
    from pathlib import Path

    from parcours.pipelines.checks import Check
    from parcours.quality.suites import Finding


@parcours_command(
    "check",
    examples="""
parcours check
parcours check --lang fr
parcours check --json | jq '.findings[] | select(.passed | not) | {rule, failed, sample}'
""",
)
@config_options
@click.option(
    "--lang", type=click.Choice(("en", "fr")), default="en", show_default=True, help="The rules' language."
)
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object with every finding.")
@click.pass_obj
def command(
    session: Session, config_files: tuple[str, ...], database: str | None, lang: str, as_json: bool
) -> int:
    """Hold the store against its rules, and decide what may be published.

    The built-in rules and those of [rule.NAME] are run as suites of Great Expectations; what they find is
    kept in quality_results and shown in the Data Docs beside the store. Where a rule of severity stop is
    broken, publication is held, and it exits with 6; where only warnings are, with 7.
    """
    session.json = as_json
    loaded = read(session, config_files, database)

    from parcours.pipelines.checks import docs_page  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.publication import check_now  # noqa: PLC0415

    with observers(session, loaded.config, quiet=as_json) as observer, silent_workers(session):
        found = check_now(loaded.config, observer)
    code = exits.NOT_PUBLISHED if found.gate.state == "held" else exits.DONE
    if code == exits.DONE and found.broken:
        code = exits.WARNED
    page = docs_page(loaded.config)
    if as_json:
        click.echo(json.dumps(_plain(found, page, lang, code), ensure_ascii=False, default=str))
        return code
    _print(session, found, page, lang, store_options(config_files, database))
    return code


def _sentence(found: Finding, lang: str) -> str:
    return found.rule.french if lang == "fr" else found.rule.english


def _observed(found: Finding) -> str:
    return found.observed if found.error is None else f"not evaluated: {found.error}"


def _plain(found: Check, page: Path, lang: str, code: int) -> dict[str, Any]:
    gate = found.gate
    return {
        "status": gate.state,
        "since": gate.since,
        "reasons": gate.reasons,
        "run_id": gate.run_id,
        "checked_at": gate.decided_at,
        "findings": [
            {
                "rule": each.rule.name,
                "relation": each.rule.relation,
                "severity": each.rule.severity,
                "sentence": _sentence(each, lang),
                "passed": each.passed,
                "observed": _observed(each),
                "expected": each.rule.expected,
                "failed": each.failed,
                "sample": each.sample,
                "owner": each.rule.owner,
            }
            for each in found.findings
        ],
        "docs": str(page),
        "exit_code": code,
    }


def _print(session: Session, found: Check, page: Path, lang: str, store: str) -> None:
    for each in found.broken:
        _print_broken(each, lang)
    total, gate = len(found.findings), found.gate
    # the reasons stand above, but of a check that failed
    state = state_text(replace(gate, reasons=()) if found.findings else gate)
    click.echo(f"{total - len(found.broken)} of {total} rules hold; {state}")
    if found.findings:
        session.say(f"Data Docs: {page}")
    if gate.state == "held":
        session.say(
            f"which rows: parcours check{store} --json, or the column sample of quality_results;"
            f" what was rejected: parcours quarantine summary{store}"
        )
    else:
        session.say(f"for readers: parcours publish{store}")


def _print_broken(each: Finding, lang: str) -> None:
    """Write a broken rule in lines that fit any terminal, its name in one piece."""
    rule = each.rule
    owner = f", owner {rule.owner}" if rule.owner else ""
    click.echo(f"{rule.severity}  {rule.name}, on {rule.relation}{owner}")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else NO_EDGE
    for text in (f"{_observed(each)}; expected {rule.expected}", _sentence(each, lang)):
        lines = textwrap.wrap(show(text), max(60, width) - 6, break_long_words=False, break_on_hyphens=False)
        click.echo(textwrap.indent("\n".join(lines), " " * 6))
    click.echo()
