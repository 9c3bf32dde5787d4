"""What is computed from journeys: figures, funnels, segments, audiences.

Lives here: ``catalogue/`` (the figures' records) and ``then/`` (what several of them read); the one query
around them (``figures``, ``placing``, ``kinds``, ``scope``), its relations (``views``) and its answers
(``ask``); figures with columns of their own (``stage_conversion``, ``experiments``); ``funnel/``; the ladder,
segments and audiences, whose conditions ``conditions`` checks.
May import ``parcours.schemas``.
Must not be added: anything that writes to the tables it reads, or that reads a config file.
"""
