"""The rules that data is held against, each written once.

Lives here: the list of rules and the row filter made from it.
May import ``parcours.schemas``.
Must not be added: decoding, sources, or flows.
"""
