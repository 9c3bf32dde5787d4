"""The contracts, data first: what a touchpoint is, what the config may say, what each relation holds.

Lives here: the Avro schema, the Arrow schemas that steps hand to one another, the models of the
configuration, and one SQL file per relation under ``relations/``.
May be imported from anywhere; imports nothing else of parcours.
Must not be added: anything that reads a source, opens a store or computes a figure.
"""
