"""The rules that data is held against, each written once.

Lives here: the list of rules, and what is made of it: the row filter and the suites that a store is held
against.
May import ``parcours.schemas``.
Must not be added: decoding, sources, or flows.
"""
