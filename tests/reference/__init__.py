"""A second implementation of the product's semantics: slow, obvious, plain Python.

It is the oracle that property tests compare the product with, so it is written from the words of the
contract and shares no code with the product: it imports nothing of ``parcours``, no DuckDB, no data frame.
Dictionaries and loops; every function is as close to its sentence as it can be, and none is fast.

One file per idea: ``taxonomy`` (look-ups), ``conflicts`` (one event per id), ``references`` (the row that
counts), ``decisions`` (unlink and relink), ``people`` (customer ids that are one person), ``identity``
(devices and persons), ``contracts`` (and which termination ends a journey), ``matters`` (quotes, claims,
cases), ``journeys`` (order, visits, journeys, steps, amounts), ``stages`` (what a journey's stages say),
``ladder`` (facts and rungs), ``at_instant`` (what depends on when one asks), ``stage_conversion`` (the
headline figure). ``model`` holds the options and the tables.

Where the product gives a hash as an id, the reference gives what was hashed: a journey is
``(unit, unit_key, first event_id)``, a visit is the event_id of its first touchpoint.
"""

from reference.at_instant import (
    cases_at,
    claims_at,
    contract_premiums_at,
    contracts_at,
    journeys_at,
    ladder_moves,
    profiles_at,
    quotes_at,
)
from reference.build import build
from reference.model import (
    COORDINATES,
    FIELDS,
    LADDER,
    LAST_CONTRACT_ENDED,
    REFERENCE_FIELDS,
    STAGES,
    Channel,
    EventType,
    Options,
    Tables,
)
from reference.stage_conversion import stage_conversion

__all__ = [
    "COORDINATES",
    "FIELDS",
    "LADDER",
    "LAST_CONTRACT_ENDED",
    "REFERENCE_FIELDS",
    "STAGES",
    "Channel",
    "EventType",
    "Options",
    "Tables",
    "build",
    "cases_at",
    "claims_at",
    "contract_premiums_at",
    "contracts_at",
    "journeys_at",
    "ladder_moves",
    "profiles_at",
    "quotes_at",
    "stage_conversion",
]
