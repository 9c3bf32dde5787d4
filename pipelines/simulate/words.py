"""The words that the simulated insurer uses, each list in the order of its codes in a row.

Event types and channels are those of ``taxonomy.toml``; this module holds what a taxonomy does not say.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import numpy as np

from parcours.schemas.config import STAGES, Taxonomy

DAY = 86_400_000_000
"""One day in microseconds."""

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
END = int(np.datetime64("2026-01-01", "us").astype(np.int64))
"""The two years that are simulated, UTC microseconds: fixed, so that equal arguments give equal bytes."""

DATES_FROM = START // DAY - 3653
DATES = tuple(str(np.datetime64(DATES_FROM + day, "D")) for day in range(3653 + 731 + 1096))
"""Every calendar day that an attribute may name: ten years before the start to three after the end."""


@cache
def taxonomy() -> Taxonomy:
    """Return the taxonomy that the simulator speaks, ready for a config's ``[taxonomy]``."""
    return Taxonomy.model_validate(tomllib.loads(taxonomy_text())["taxonomy"])


def taxonomy_text() -> str:
    """Return ``taxonomy.toml`` as text, as ``parcours init`` prints it."""
    return resources.files(__package__).joinpath("taxonomy.toml").read_text("utf-8")


WORDS: dict[str, tuple[str, ...]] = {
    "event_type": tuple(taxonomy().events),
    "channel": tuple(taxonomy().channels),
    "stage": STAGES,
    "source": ("google", "bing", "facebook", "instagram", "comparator_one", "newsletter", "crm", "partner"),
    "campaign": (
        "spring_auto",
        "back_to_school",
        "home_movers",
        "health_autumn",
        "life_savings",
        "brand_all_year",
        "members_letter",
    ),
    "content": ("banner_a", "banner_b", "family", "price", "solidarity", "nps", "csat", "ces", "corrected"),
    "product": ("auto", "home", "health", "life"),
    "currency": ("EUR", "CHF"),
    "survey": (
        "nps",
        "csat",
        "ces",
        "recommend",
        "review",
        "value",
        "efficiency",
        "trust",
        "consistency",
        "relevance",
        "control",
    ),
    "consent": ("marketing", "analytics", "marketing|analytics"),
    "experiment": ("quote_form", "welcome_series"),
    "variant": ("control", "short", "letter", "call"),
    "initiator": ("customer", "insurer"),
    "reason": (
        "price",
        "moved",
        "sold_vehicle",
        "service",
        "competitor",
        "non_payment",
        "claims_record",
        "death",
    ),
    "theme": ("claims", "prices", "contract", "prevention", "digital", "housing", "mobility", "childcare"),
    "page": ("home", "prices", "faq", "documents", "account", "advice"),
}
"""Per coded field, its words; a row holds their positions, and -1 for none."""

ATTRIBUTE_DATES = ("effective_from", "effective_to", "due_at")
ATTRIBUTES = (*ATTRIBUTE_DATES, "initiator", "reason", "theme", "page")
"""What goes into ``attributes``: an array in Avro, fields of their own in JSON, columns in CSV."""

ODD_IDS = {
    3: "NA",
    5: "🦊-Zoë",
    7: "M" * 128,
    11: 'O\'Neil, "Zoé" \\ Cie',
    13: "42 ",
}
"""Persons whose ids careless readers lose: a word for missing, beyond the BMP, as long as may be, quotes."""


def code(field: str, word: str) -> int:
    """Return a word's code.

    Raises:
        ValueError: the word is not in the list.
    """
    return WORDS[field].index(word)
