"""Where records come from: one contract, one file a kind of source.

Lives here: files and Kafka. A source plans ranges from what is committed, and reads a range into ``RAW``
batches with coordinates.
May import ``parcours.schemas`` and ``parcours.transforms.elements``.
Must not be added: decoding of values, or anything that knows the store.
"""
