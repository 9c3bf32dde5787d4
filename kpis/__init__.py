"""What is computed from journeys: one SQL file per figure.

May import ``parcours.schemas``.
Must not be added: anything that writes to the tables it reads.
"""
