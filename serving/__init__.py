"""What is handed to those who read: the published copy.

Lives here: ``publish``, the copy that BI tools open.
May import ``parcours.schemas`` and ``parcours.kpis``.
Must not be added: anything that writes to the store, or that decides whether something may be published.
"""
