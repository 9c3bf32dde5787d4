"""A second implementation of the product's semantics: slow, obvious, plain Python.

It is the oracle that property tests compare the product with, so it is written from the words of the
contract and shares no code with the product: it imports nothing of ``parcours``, no DuckDB, no data frame.
Dictionaries and loops; every function is as close to its sentence as it can be, and none is fast.

One file per idea: ``taxonomy`` (look-ups), ``conflicts`` (one event per id), ``identity`` (devices and
customers), ``journeys`` (order, visits, journeys, steps, amounts), ``stages`` (what a journey's stages say),
``stage_conversion`` (the headline figure). ``model`` holds the options and the tables.

Where the product gives a hash as an id, the reference gives what was hashed: a journey is
``(unit, unit_key, first event_id)``, a visit is the event_id of its first touchpoint.
"""

from reference.build import build
from reference.model import COORDINATES, FIELDS, STAGES, Channel, EventType, Options, Tables
from reference.stage_conversion import stage_conversion

__all__ = [
    "COORDINATES",
    "FIELDS",
    "STAGES",
    "Channel",
    "EventType",
    "Options",
    "Tables",
    "build",
    "stage_conversion",
]
