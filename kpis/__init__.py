"""What is computed from journeys: one SQL file per figure.

Lives here: each figure's formula, its options, and the statements that make it a macro and a view.
May import ``parcours.schemas``.
Must not be added: anything that writes to the tables it reads.
"""
