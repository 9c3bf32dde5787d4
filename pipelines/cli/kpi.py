"""``parcours kpi``: the figures, their definitions, and their values."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.instants import AS_OF, read_instant
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command
from parcours.pipelines.mistakes import MOST_LISTED, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from parcours.kpis.ask import Answer
    from parcours.kpis.shapes import Shape
    from parcours.pipelines.figures import Figures
    from parcours.schemas.figure import Figure

command = SuggestingGroup("kpi", help="List the figures, show their definitions, compute them.")

GRAINS = ("day", "week", "month", "quarter", "year")

_language = click.option(
    "--lang",
    "language",
    type=click.Choice(("en", "fr")),
    default="en",
    show_default=True,
    help="Language of labels, and of what files are made for.",
)


@parcours_command(
    "list",
    examples="""
parcours kpi list
parcours kpi list --phase purchase --lang fr
parcours kpi list --json | jq -r '.[] | select(.available) | .kpi'
""",
)
@click.option("--phase", metavar="NAME", help="Only those of one phase.")
@_language
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array, with everything about each.")
@click.pass_obj
def list_(
    session: Session,
    *,
    phase: str | None,
    language: str,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
) -> None:
    """List the figures, and whether what they need is there.

    Needs: spend, contracts and the like are reference inputs to load, role:NAME is a role that no event type
    of the taxonomy has, option:NAME a key of [kpi] that is not set.
    """
    session.json = as_json
    rows = _catalogue(session, config_files, database)
    phases = list(dict.fromkeys(row["phase"] for row in rows))
    if phase is not None and phase not in phases:
        raise click.UsageError(_unknown(f'there is no phase "{phase}"', phase, phases))
    chosen = [row for row in rows if phase in (None, row["phase"])]
    if as_json:
        click.echo(json.dumps(chosen, ensure_ascii=False, indent=1))
        return
    print_table(
        ("phase", "figure", "label", "unit", "available"),
        [
            (
                row["phase"],
                row["kpi"],
                row[f"label_{language}"],
                row["unit"],
                "yes" if row["available"] else f"needs {', '.join(row['missing'])}",
            )
            for row in chosen
        ],
    )


@parcours_command(
    "show",
    examples="""
parcours kpi show contract_churn
parcours kpi show nps --lang fr
parcours kpi show loss_ratio --sql
""",
)
@click.argument("name")
@_language
@click.option("--sql", is_flag=True, help="Show the rows that it counts, as SQL.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def show(
    session: Session,
    *,
    name: str,
    language: str,
    sql: bool,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
) -> None:
    """Show how a figure is computed and how it can be misread."""
    session.json = as_json
    rows = {row["kpi"]: row for row in _catalogue(session, config_files, database)}
    if name not in rows:
        raise click.UsageError(_unknown(f'there is no figure "{name}"', name, list(rows)))
    row = rows[name]
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False, indent=1))
        return
    click.echo(f"{name}: {row[f'label_{language}']} ({row['phase']})")
    click.echo(row[f"explanation_{language}"])
    if row[f"misread_{language}"]:
        click.echo(row[f"misread_{language}"])
    for title in ("numerator", "denominator", "kind", "unit", "window"):
        if row[title]:
            click.echo(f"{title}: {row[title]}")
    click.echo(f"periods: {', '.join(row['grains'])}")
    click.echo(f"by: {', '.join(['total', *row['dimensions']])}")
    click.echo("available" if row["available"] else f"not available: needs {', '.join(row['missing'])}")
    cut = row["always"] or ["total"]
    click.echo(f"in SQL: FROM kpi_{name} WHERE grain = '{row['grains'][-1]}' AND dimensions = {cut}")
    if sql:
        click.echo(f"\n{row['rows'].strip()}")


@parcours_command(
    "run",
    examples="""
parcours kpi run quote_to_bind --by channel --grain month
parcours kpi run nps csat --by total --by product,channel --grain quarter
parcours kpi run --all --grain month --format csv --lang fr --out figures.csv
parcours kpi run revenue --where "product = 'auto' AND medium = 'digital'"
parcours kpi run contract_churn --segment professionals --as-of 2026-06-30
""",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "all_", is_flag=True, help="All figures but those that have columns of their own.")
@click.option(
    "--grain", "grains", multiple=True, default=("month",), show_default=True,
    help=f"Period: {', '.join(GRAINS)}. Repeatable.",
)  # fmt: skip
@click.option(
    "--by", "by", multiple=True, metavar="NAME[,NAME]", default=("total",), show_default=True,
    help="What the rows are cut by; names with commas are crossed. Repeatable.",
)  # fmt: skip
@click.option("--as-of", "as_of", metavar="TIME", help=AS_OF)
@click.option(
    "--where", metavar="SQL", help="Count only touchpoints for which this is true, and what they began."
)
@click.option(
    "--segment", metavar="NAME", help="Count only persons who are in it at --as-of, in all periods."
)
@click.option(
    "--format", "format_", type=click.Choice(("table", "csv", "json", "parquet")), default="table",
    show_default=True, help="csv with --lang fr is as Excel in French opens it.",
)  # fmt: skip
@click.option("--out", metavar="PATH", help="Write to this file instead of standard output.")
@_language
@config_options
@click.pass_obj
def run(
    session: Session,
    *,
    names: tuple[str, ...],
    all_: bool,
    grains: tuple[str, ...],
    by: tuple[str, ...],
    as_of: str | None,
    where: str | None,
    segment: str | None,
    format_: str,
    out: str | None,
    language: str,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """Compute figures. Changes nothing in the store.

    A figure whose input is absent says what it needs instead of rows. With --all, a figure that lacks a grain
    or a dimension is left out of it, and so is one that --where or --segment cannot limit. Figures that have
    columns of their own, as experiment_lift, are asked for by name.
    """
    session.json = format_ == "json"
    if bool(names) == all_:
        raise click.UsageError(
            "name the figures, or say --all" if not all_ else "name figures or say --all, not both"
        )
    if format_ == "parquet" and out is None:
        raise click.UsageError("parquet is written to a file: say --out PATH")
    if out is not None and format_ == "table":
        raise click.UsageError("--out writes a file: say --format csv, json or parquet")
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise click.UsageError(f'there is no folder "{Path(out).parent}" to write to')
    loaded = read(session, config_files, database, with_sources=False)

    from parcours.kpis.ask import AskError, Question, ask, dimensions_of  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.figures import kept_in, united  # noqa: PLC0415
    from parcours.pipelines.store import Store  # noqa: PLC0415

    question = Question(
        grains=tuple(dict.fromkeys(grains)),
        by=tuple(dict.fromkeys(tuple(name.strip() for name in names.split(",")) for names in by)),
        as_of=None if as_of is None else read_instant(as_of, ZoneInfo(loaded.config.kpi.time_zone)),
        where=where,
        segment=segment,
    )
    options = loaded.config.store
    found: dict[str, Answer] = {}
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store:
        of = kept_in(store, loaded.config if _has_config(config_files) else None)
        allowed = dimensions_of(of.named)
        for name in (name for several in question.by for name in several):
            if name not in allowed:
                raise click.UsageError(_unknown(f'no figure is cut by "{name}"', name, allowed))
        shape, asked = _of_one_shape(session, names, of.named)
        for name in asked:
            try:
                found[name] = ask(store.connection, name, of.named, of.setting, question)
            except AskError as error:
                if all_ and error.name is None:
                    session.say(f"left out: {error}")
                    continue
                raise click.UsageError(_unknown(str(error), error.name, error.allowed)) from error
    _check_asked(session, found, of.named, all_=all_)
    missing = {name: answer.missing for name, answer in found.items() if answer.missing}
    for name, needs in missing.items():
        session.say(f"{name}: not available: needs {', '.join(needs)}")
    rows = united(found)
    _write(rows, found, of, shape.shown, format_=format_, out=out, language=language)
    if out is not None:
        session.say(f"wrote {rows.num_rows:,} rows to {out}")
    elif not rows.num_rows and not missing and format_ == "table":
        session.say("nothing was counted: the store has none of it up to this instant")


def _of_one_shape(
    session: Session, names: Sequence[str], named: Mapping[str, Figure]
) -> tuple[Shape, Sequence[str]]:
    """Return the shape of what is asked for, and its names; where none is named, of the common shape all.

    Raises:
        UsageError: the figures named have different columns.
    """
    from parcours.kpis.shapes import COMMON, shape_of  # noqa: PLC0415, loads DuckDB

    if not names:
        own = [name for name, figure in named.items() if shape_of(figure) is not COMMON]
        session.say(f"left out: {', '.join(own)} have columns of their own")
        return COMMON, [name for name in named if name not in own]
    shapes = {name: shape_of(named[name]) for name in names if name in named}
    first, shape = next(iter(shapes.items()), ("", COMMON))
    for name, other in shapes.items():
        if other is not shape:
            raise click.UsageError(f"{first} and {name} have different columns: run them one by one")
    return shape, names


def _check_asked(
    session: Session, found: Mapping[str, Answer], named: Mapping[str, Figure], *, all_: bool
) -> None:
    """Refuse what a named figure does not have; of all figures, each gives what it has."""
    for name, answer in found.items():
        if answer.left_out and not all_:
            figure = named[name]
            raise click.UsageError(
                f"{name} has no rows {' and none '.join(answer.left_out)}; it has the grains "
                f"{', '.join(figure.grains)}, and may be cut by "
                f"{', '.join(('total', *figure.dimensions, *figure.numerator_dimensions))}"
            )
    left_out = [name for name, answer in found.items() if answer.left_out]
    if left_out:
        session.say(f"left out where it has no such grain or dimension: {', '.join(left_out)}")


def _catalogue(session: Session, config_files: tuple[str, ...], database: str | None) -> list[dict[str, Any]]:
    """Return everything about each figure, whether the store has what it needs included."""
    loaded = read(session, config_files, database, with_sources=False)

    from parcours.kpis.ask import missing_of  # noqa: PLC0415, loads DuckDB
    from parcours.kpis.figures import lacking  # noqa: PLC0415
    from parcours.kpis.views import all_figures, setting_of  # noqa: PLC0415
    from parcours.pipelines.figures import Figures, kept_in  # noqa: PLC0415
    from parcours.pipelines.store import Store  # noqa: PLC0415
    from parcours.schemas.figure import INPUTS  # noqa: PLC0415

    options = loaded.config.store
    if Path(options.path).exists():
        with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store:
            of = kept_in(store, loaded.config if _has_config(config_files) else None)
            return [
                _entry(name, figure, missing_of(store.connection, figure, of.setting))
                for name, figure in of.named.items()
            ]
    of = Figures(all_figures(loaded.config.figure), setting_of(loaded.config))
    return [
        _entry(
            name, figure, [*(need for need in figure.needs if need in INPUTS), *lacking(figure, of.setting)]
        )
        for name, figure in of.named.items()
    ]


def _entry(name: str, figure: Figure, missing: list[str]) -> dict[str, Any]:
    texts = {
        f"{text}_{language}": getattr(words, language) if words else None
        for text, words in (
            ("label", figure.label),
            ("explanation", figure.explanation),
            ("misread", figure.misread),
        )
        for language in ("en", "fr")
    }
    return {
        "kpi": name,
        "phase": figure.phase,
        **texts,
        "kind": figure.kind,
        "unit": figure.unit,
        "numerator": figure.numerator,
        "denominator": figure.denominator,
        "window": None if figure.window.startswith("0 ") else figure.window,
        "grains": list(figure.grains),
        "dimensions": [*figure.dimensions, *figure.numerator_dimensions, *figure.always],
        "always": list(figure.always),
        "needs": list(figure.needs),
        "missing": missing,
        "available": not missing,
        "rows": figure.rows,
    }


def _unknown(problem: str, name: str | None, allowed: Sequence[str]) -> str:
    """Return a problem with the near spelling, or with all that there is where it is not much."""
    near = nearest(name, allowed) if name is not None else None
    if near:
        return f'{problem}; did you mean "{near}"?'
    return f"{problem}; there are: {', '.join(allowed)}" if 0 < len(allowed) <= MOST_LISTED else problem


def _has_config(config_files: tuple[str, ...]) -> bool:
    return bool(config_files) or Path("parcours.toml").exists()


def _write(
    rows: pa.Table,
    found: Mapping[str, Answer],
    of: Figures,
    shown: Sequence[str],
    *,
    format_: str,
    out: str | None,
    language: Any,
) -> None:
    if format_ == "parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415, slow to load

        pq.write_table(rows, out)
        return

    from parcours.pipelines.figure_files import write_csv, write_json  # noqa: PLC0415, loads pyarrow

    if format_ == "table":
        _print(rows, shown)
        return
    with (
        nullcontext(sys.stdout) if out is None else Path(out).open("w", encoding="utf-8", newline="") as file
    ):
        if format_ == "json":
            write_json(
                rows,
                file,
                {name: answer.missing for name, answer in found.items() if answer.missing},
                {name: answer.left_out for name, answer in found.items() if answer.left_out},
            )
        else:
            write_csv(rows, file, of.named, language)


def _print(rows: pa.Table, shown: Sequence[str]) -> None:
    """Show the columns that people compare, and after the period what the rows are cut by; files have all."""
    if not rows.num_rows:
        return
    if any(target is not None for target in rows["target"].to_pylist()):
        shown = (*shown, "target")
    after = shown.index("period_start") + 1
    cut = any(row != ["total"] for row in rows["dimensions"].to_pylist())
    print_table(
        [*shown[:after], *(["by", "of"] if cut else []), *shown[after:]],
        [
            [
                *(row[name] for name in shown[:after]),
                *(
                    [", ".join(row["dimensions"]), ", ".join(map(_shown, row["dimension_values"]))]
                    if cut
                    else []
                ),
                *(_whole(row[name]) for name in shown[after:]),
            ]
            for row in rows.to_pylist()
        ],
    )


def _shown(value: str | None) -> str:
    return "–" if value is None else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


for made in (list_, show, run):
    command.add_command(made)
