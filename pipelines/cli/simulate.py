"""``parcours simulate``: a mutual insurer's touchpoints, to files or to a topic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.root import parcours_command


@parcours_command(
    "simulate",
    examples="""
parcours simulate --events 20000 --seed 1 --format json --out touchpoints
parcours simulate --events 1000000 --format csv --out demo --files 8 --compression gzip
parcours simulate --events 1000000 --format avro-confluent --out demo \\
    --topic crm --bootstrap localhost:9092 --partitions 4
""",
)
@click.option("--events", type=click.IntRange(1), default=20_000, show_default=True, help="Records in all.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Equal seeds, equal records."
)
@click.option(
    "--format",
    "format_",
    required=True,
    metavar="FORMAT",
    help="Files: json, csv, avro-file. Topics: json, avro, avro-confluent, avro-single-object.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the files, the manifest and the reference inputs (contracts.csv, customers.csv,"
    " aliases.csv, spend.csv, events_held.csv, indicators.csv, targets.csv); for Avro topics, for the schemas"
    " too.",
)
@click.option("--files", type=click.IntRange(1), default=4, show_default=True, help="Number of files.")
@click.option("--topic", help="Produce to this topic instead.")
@click.option("--bootstrap", metavar="HOST:PORT", help="The broker of --topic.")
@click.option("--partitions", type=click.IntRange(1), help="Make the topic with so many, if it is not there.")
@click.option(
    "--broken", type=click.FloatRange(0, 0.3), default=0.01, show_default=True, help="Share broken."
)
@click.option(
    "--duplicates", type=click.FloatRange(0, 0.3), default=0.02, show_default=True, help="Share sent twice."
)
@click.option("--compression", metavar="CODEC", help="As gzip or zstd; what there is depends on the format.")
@click.option("--json", "as_json", is_flag=True, help="Write the manifest, and no progress.")
@click.pass_obj
def command(
    session: Session, /, *, format_: str, events: int, topic: str | None, as_json: bool, **options: Any
) -> int:
    """Write a mutual insurer's touchpoints to files or a topic.

    Two years of them: all stages and channels, people who log in later, shared devices, late events,
    duplicates, broken records of every kind, reference inputs, and a manifest of what was planted.
    """
    session.json = as_json

    from dataclasses import asdict  # noqa: PLC0415

    from parcours.pipelines.observe import observer_for  # noqa: PLC0415
    from parcours.pipelines.simulate import simulate  # noqa: PLC0415, loads numpy and pyarrow

    with observer_for(session.secrets.mask, quiet=as_json) as observer:
        observer.begin("simulate")
        try:
            manifest = simulate(
                format=format_,
                events=events,
                topic=topic,
                on_progress=lambda done: observer.progress(done, events),
                **options,
            )
        except (ValueError, FileExistsError) as error:
            raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps(asdict(manifest), ensure_ascii=False))
    else:
        click.echo(
            f"wrote {manifest.records:,} records to {topic or options['out']}: {manifest.events:,} events of"
            f" {manifest.persons:,} persons, {manifest.exact_duplicates + manifest.conflicting_duplicates:,}"
            f" duplicates, {manifest.broken:,} broken"
        )
    return 0
