"""Whole flows and what drives them: the two Beam pipelines, the slice loop, the store, the command line.

May import every other room.
Must not be added: a rule, a formula, or the work of a single step.
"""
