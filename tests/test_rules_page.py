"""The pages of rules: every example is a config that loads, every kind and every built-in rule is there."""

import re
import tomllib
from pathlib import Path
from typing import get_args

from parcours.pipelines.config import load_config
from parcours.pipelines.describe_rules import as_markdown, built_in_rules
from parcours.schemas.rule import RuleKind

DOCS = Path(__file__).parents[1] / "docs"


def test_every_example_is_right_and_every_kind_has_one(tmp_path):
    """The examples load without a mistake, each under the heading of its kind."""
    page = (DOCS / "rules.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "parcours.toml"
    path.write_text("".join(examples), "utf-8")
    load_config([path], {}, {})
    by_kind = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE))
    assert set(get_args(RuleKind)) == set(by_kind)
    for kind, section in by_kind.items():
        rules = tomllib.loads("".join(re.findall(r"```toml\n(.*?)```", section, re.DOTALL)))["rule"]
        assert {kind} == {rule["kind"] for rule in rules.values()}


def test_the_page_of_built_in_rules_is_up_to_date():
    """docs/built_in_rules.md is what the records render to; make tables writes it."""
    assert (DOCS / "built_in_rules.md").read_text("utf-8") == as_markdown(built_in_rules())
