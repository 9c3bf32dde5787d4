"""The page of built-in rules, ``docs/built_in_rules.md``: what their records say, rendered for reading.

``python -m parcours.pipelines.describe_rules > docs/built_in_rules.md`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from parcours.quality.standing import StandingRule, standing_rules
from parcours.schemas import relations
from parcours.schemas.config import Config

_HEAD = """# The built-in rules

What `parcours check` holds every store against, beside [rules of your own](rules.md): `stop` where the store
would be wrong, `warn` where the data is odd. `source.NAME.late` stands for each source with
`expected_every`, `kpi_NAME` for each figure of `[gate] figures`; of stage conversion the totals by month are
checked, unless a rule of yours reads it. This page is made from the records by `make tables`.
"""


def built_in_rules() -> tuple[StandingRule, ...]:
    """Return the built-in rules, with one source and one figure called NAME."""
    source = {"name": "NAME", "kind": "file", "format": "json", "path": "*", "expected_every": "1d"}
    config = Config.model_validate({"source": [source], "gate": {"figures": ["NAME"]}})
    known = {*relations.TABLES, "kpi_NAME"}
    return standing_rules(config, now=datetime(2000, 1, 1), relations=known)


def as_markdown(rules: Sequence[StandingRule]) -> str:
    """Render rules as one page of Markdown, a table for each relation."""
    page = [_HEAD]
    for relation, about in groupby(rules, key=lambda rule: rule.relation):
        page.append(f"## {relation}\n\n| rule | severity | what is right | en français |\n|---|---|---|---|")
        page += [
            f"| {rule.name} | {rule.severity} | {rule.english} | *{rule.french}* |" for rule in about
        ] + [""]
    return "\n".join(page)


if __name__ == "__main__":
    print(as_markdown(built_in_rules()), end="")
