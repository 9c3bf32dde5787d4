"""Whole flows and what drives them.

Lives here: the two Beam pipelines, the slice loop, the store, the config's loader, the simulator
(``simulate/``) and the command line (``cli/``).
May import every other room.
Must not be added: a rule, a formula, or the work of a single step.
"""
