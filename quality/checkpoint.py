"""The context of Great Expectations that stands beside a store, and the one checkpoint that runs in it.

``<folder>/gx`` is a file context: a suite and a validation definition for each relation, the checkpoint
``gate``, the results of the newest checks, and the Data Docs made of them. Suites are written anew at every
check, so that what is in them is what is in force; results and pages of the newest checks stay. Plain Great
Expectations loads the context, and runs its checkpoint on a store that nobody holds, once this module is
imported, which defines what it names; there, though, views are computed anew for each of their rules.

Failing rows are counted, never read: neither results nor pages hold anything of a person, save what a user's
own rule says in its sentence or its SQL, and a value that DuckDB quotes where a rule's SQL fails.

Importing this module loads Great Expectations, which takes seconds.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import duckdb
import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.checkpoint import UpdateDataDocsAction
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier

from parcours.quality.store_dialect import FAILING, held
from parcours.quality.suites import DOCS

if TYPE_CHECKING:
    from parcours.quality.standing import StandingRule

KEPT = 20
"""Checks whose results and pages are kept."""

RESULTS = Path("gx", "uncommitted", "validations")

_SEVERITIES = {"warn": "warning", "stop": "critical"}

_COLONS = re.compile(r"\\(?=:\w*(?![:\w]))|(?<![:\w\\]):(?=\w+(?![:\w]))")
"""Where SQLAlchemy would see a parameter, or take away the backslash that says there is none."""

_CONTEXT = """\
config_version: 4.0
analytics_enabled: false
progress_bars:
  globally: false
plugins_directory: plugins/
config_variables_file_path: uncommitted/config_variables.yml
expectations_store_name: expectations_store
validation_results_store_name: validation_results_store
checkpoint_store_name: checkpoint_store
stores:
  expectations_store:
    class_name: ExpectationsStore
    store_backend:
      class_name: TupleFilesystemStoreBackend
      base_directory: expectations/
  validation_definition_store:
    class_name: ValidationDefinitionStore
    store_backend:
      class_name: TupleFilesystemStoreBackend
      base_directory: validation_definitions/
  checkpoint_store:
    class_name: CheckpointStore
    store_backend:
      class_name: TupleFilesystemStoreBackend
      suppress_store_backend_id: true
      base_directory: checkpoints/
  validation_results_store:
    class_name: ValidationResultsStore
    store_backend:
      class_name: TupleFilesystemStoreBackend
      base_directory: uncommitted/validations/
data_docs_sites:
  local_site:
    class_name: SiteBuilder
    show_how_to_buttons: false
    store_backend:
      class_name: TupleFilesystemStoreBackend
      base_directory: uncommitted/data_docs/local_site/
    site_index_builder:
      class_name: DefaultSiteIndexBuilder
      renderer: {module_name: parcours.quality.data_docs, class_name: IndexLinks}
      view: {module_name: parcours.quality.data_docs, class_name: Index}
    site_section_builders:
      expectations: {view: {module_name: parcours.quality.data_docs, class_name: Page}}
      validations: {view: {module_name: parcours.quality.data_docs, class_name: Page}}
"""


class BuildDataDocs(UpdateDataDocsAction):
    """Builds the pages of all suites at once: one suite after the other, the index is made for each."""

    type: Literal["parcours_data_docs"] = "parcours_data_docs"

    def run(self, checkpoint_result: Any, action_context: Any = None) -> Any:
        """Build the pages of what was just run, and the index."""
        suites = [
            ExpectationSuiteIdentifier(result.suite_name) for result in checkpoint_result.run_results.values()
        ]
        return self._build_data_docs(resource_identifiers=[*checkpoint_result.run_results, *suites])


def run_checkpoint(
    cursor: duckdb.DuckDBPyConnection, store: str, rules: Sequence[StandingRule], folder: Path, name: str
) -> dict[str, int | str]:
    """Run the suites of rules.

    Args:
        cursor: a connection to the store, which all queries use.
        store: the store's path, for whoever opens the context later.
        rules: what is held; each one's relation can be read.
        folder: where the context stands.
        name: what the run is called in the Data Docs.

    Returns:
        By rule the number of failing rows, or what went wrong.
    """
    began = datetime.now(UTC)
    finished = _prepare(folder)
    token = held.set(cursor)
    try:
        context = gx.get_context(mode="file", project_root_dir=folder)
        checkpoint = _define(context, store, rules)
        named = re.sub(r"[^\w.-]", "_", name)
        run = checkpoint.run(run_id=RunIdentifier(run_name=named, run_time=began))
    finally:
        held.reset(token)
    _remember(folder, [*finished, began.strftime("%Y%m%dT%H%M%S.%fZ")])
    return {
        result.expectation_config.meta["rule"]: _outcome(result)
        for suite in run.run_results.values()
        for result in suite.results
    }


def _prepare(folder: Path) -> list[str]:
    """Leave of the folder what finished checks made of it, and return which they were, the newest last."""
    try:
        finished = [str(time) for time in json.loads((folder / "checks.json").read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        finished = []
    finished = finished[1 - KEPT :]
    context = folder / "gx"
    if not finished:
        shutil.rmtree(context, ignore_errors=True)
    for definitions in ("expectations", "validation_definitions", "checkpoints"):
        shutil.rmtree(context / definitions, ignore_errors=True)
    for kept in (folder / RESULTS, folder / DOCS / "validations"):
        for check in kept.glob("*/*/*"):
            if check.name not in finished and check.is_dir():  # a file manager leaves files of its own
                shutil.rmtree(check)
                if not any(check.parent.iterdir()):
                    check.parent.rmdir()
    context.mkdir(parents=True, exist_ok=True)
    (context / "great_expectations.yml").write_text(_CONTEXT, "utf-8")
    return finished


def _remember(folder: Path, finished: list[str]) -> None:
    """Note which checks were finished: the results of others are half written."""
    new = folder / "checks.json.new"
    new.write_text(json.dumps(finished), "utf-8")
    new.rename(folder / "checks.json")


def _define(context: Any, store: str, rules: Sequence[StandingRule]) -> Any:
    """Write suites, validation definitions and the checkpoint."""
    address = f"parcours://?store={quote(store, safe='/')}"
    source = context.data_sources.add_sql(name="store", connection_string=address, create_temp_table=False)
    definitions = []
    for relation in dict.fromkeys(rule.relation for rule in rules):
        asset = source.add_table_asset(relation, table_name=relation)
        expectations = [_expectation(rule) for rule in rules if rule.relation == relation]
        suite = context.suites.add(gx.ExpectationSuite(name=relation, expectations=expectations))
        rows = asset.add_batch_definition_whole_table("all")
        definitions.append(
            context.validation_definitions.add(gx.ValidationDefinition(name=relation, data=rows, suite=suite))
        )
    return context.checkpoints.add(
        gx.Checkpoint(
            name="gate",
            validation_definitions=definitions,
            actions=[BuildDataDocs(name="data_docs")],
            # values of columns are a person's: none is kept
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": 0},
        )
    )


def _expectation(rule: StandingRule) -> Any:
    """Return a rule as an expectation: Great Expectations' own, or that its query finds no rows."""
    words = {
        "severity": _SEVERITIES[rule.severity],
        "description": f"{rule.english} ({rule.name})".replace("$", "$$"),
        "meta": {
            "rule": rule.name,
            "kind": rule.kind,
            "owner": rule.owner,
            "french": rule.french,
            "expected": rule.expected,
        },
    }
    if rule.native is not None:
        name, arguments = rule.native
        return getattr(gxe, name)(**arguments, **words)
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=_query(rule.failing), **words)


def _query(failing: str) -> str:
    """Write a query as Great Expectations wants it: with the batch in it, and all else as it stands."""
    sql = _COLONS.sub(r"\\\g<0>", failing.strip().rstrip(";"))
    sql = sql.replace("{", "{{").replace("}", "}}")
    return f"{FAILING} {sql}\n/* of {{batch}} */"


def _outcome(result: Any) -> int | str:
    """Return how many rows break an expectation, or what went wrong."""
    found = result.result or {}
    if result.success:
        return 0
    for count in ("unexpected_count", "observed_value"):
        if isinstance(found.get(count), int):
            return int(found[count])
    problem = result.exception_info or {}
    for each in (problem, *(part for part in problem.values() if isinstance(part, dict))):
        if each.get("exception_message"):
            return str(each["exception_message"])
    return "Great Expectations gave no count"
