"""The OpenLineage specification as a JSON schema, for events of runs.

Made of the client's classes, which its authors generate from the published schema: fields without a default
are required, no field but theirs is allowed, and texts that name times, ids and addresses have those formats.
"""

from __future__ import annotations

import types
import typing
from datetime import datetime
from enum import Enum
from urllib.parse import urlsplit

import attr
import jsonschema
from openlineage.client.event_v2 import RunEvent
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    processing_engine_run,
    tags_run,
)

FACETS = {
    "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "tags": tags_run.TagsRunFacet,
}
"""The facets that events may have, by their keys in the specification."""

FORMATS = {
    "eventTime": "date-time",
    "runId": "uuid",
    **dict.fromkeys(("producer", "schemaURL", "_producer", "_schemaURL"), "uri"),
}

CHECKER = jsonschema.FormatChecker(("uuid",))


@CHECKER.checks("date-time", raises=ValueError)
def _is_time(text):
    return datetime.fromisoformat(text).tzinfo is not None


@CHECKER.checks("uri", raises=ValueError)
def _is_uri(text):
    return bool(urlsplit(text).scheme) and " " not in text


def _schema_of(kind, name=""):
    """Return the schema of an annotation: a class of the client, or what its fields are made of."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _schema_of(next(part for part in arguments if part is not type(None)), name)
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if origin is dict and name in ("facets", "inputFacets", "outputFacets"):
        of_this_kind = {
            key: _schema_of(facet) for key, facet in FACETS.items() if issubclass(facet, arguments[1])
        }
        return {"type": "object", "properties": of_this_kind, "additionalProperties": False}
    if attr.has(kind):
        hints = typing.get_type_hints(kind)
        fields = {field.name: field for field in attr.fields(kind) if field.name in hints}
        required = [
            name for name, field in fields.items() if field.default is attr.NOTHING or name in FORMATS
        ]
        properties = {name: _schema_of(hints[name], name) for name in fields}
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    plain = {str: "string", bool: "boolean", int: "integer"}.get(kind, "object")
    return {"type": plain, **({"format": FORMATS[name]} if name in FORMATS else {})}


VALIDATOR = jsonschema.Draft202012Validator(_schema_of(RunEvent), format_checker=CHECKER)


def assert_valid(event):
    """Raise where an event, as it was sent, is not what the specification says."""
    VALIDATOR.validate(event)
    assert event["schemaURL"].startswith("https://openlineage.io/spec/"), event["schemaURL"]
