"""From a source's configuration to an open source."""

from __future__ import annotations

from parcours.schemas.config import Source, Validation
from parcours.transforms.sources.contract import RangeSource


def open_source(source: Source, validation: Validation) -> RangeSource:
    """Open one configured source; its kind's libraries are imported only here."""
    if source.kind == "kafka":
        from parcours.transforms.sources.kafka import KafkaSource  # noqa: PLC0415  files need no Kafka client

        return KafkaSource(source, validation)
    from parcours.transforms.sources.files import FileSource  # noqa: PLC0415  topics need no file readers

    return FileSource(source, validation)
