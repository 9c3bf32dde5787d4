"""A seeded mutual insurer: touchpoints of two years, with all that goes wrong in a log, and a manifest of it.

Reads in this order: ``words`` and ``rows`` (what an event is made of), ``population``, ``acquisition``,
``portfolio``, ``relationship`` and ``behaviour`` (what people do), ``copies`` and ``faults`` (what the log
does to it), ``fields``, ``text_records`` and ``avro_records`` (how it is written), ``files`` and ``topic``
(where to), ``references`` and ``steering`` (what is known beside it), ``planted`` and ``manifest`` (what is
said about it), ``run`` (the flow).

Lives here: what the insurer's people do, and how it is written.
May import ``parcours.schemas``: it shares no code with what reads its records, so that each checks the other.
Must not be added: anything that knows the store, or what the pipeline makes of a record.
"""

from parcours.pipelines.simulate.manifest import Manifest
from parcours.pipelines.simulate.run import simulate
from parcours.pipelines.simulate.words import taxonomy, taxonomy_text

__all__ = ["Manifest", "simulate", "taxonomy", "taxonomy_text"]
