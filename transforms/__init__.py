"""The steps that a record walks through, one file a step, in the order of the flow.

Lives here: reading (``sources/``), decode, mapping, validate, stage, merge, identity, build. Each step is a
pure function first, then a thin PTransform where Beam runs it.
May import ``parcours.schemas`` and ``parcours.quality``.
Must not be added: whole flows, the store's life cycle, the command line (``pipelines/``), or figures
(``kpis/``).
"""
