"""Who watches a command that changes the store: its log, and metrics and lineage where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from parcours.pipelines.cli.exits import Session

if TYPE_CHECKING:
    from parcours.pipelines.observe import SilentObserver
    from parcours.schemas.config import Config


@contextmanager
def observers(
    session: Session, config: Config, *, quiet: bool, metrics: tuple[int, str] | None = None
) -> Iterator[SilentObserver]:
    """Open all who watch, as one observer.

    Args:
        session: has the structured log, where one is asked for.
        config: says whether lineage goes anywhere.
        quiet: a program reads the result: without a structured log, there is none.
        metrics: port and address to serve metrics at.

    Raises:
        click.ClickException: the port is taken.
    """
    from parcours.pipelines.observe import Observers, observer_for  # noqa: PLC0415

    with ExitStack() as opened:
        served: list[SilentObserver] = []
        if metrics is not None:
            from parcours.pipelines.metrics import Metrics  # noqa: PLC0415, loads DuckDB and the client

            try:
                served.append(opened.enter_context(Metrics(config, *metrics)))
            except OSError as error:
                raise click.ClickException(
                    f"no metrics can be served at {metrics[1]}:{metrics[0]}: {error.strerror}; name a free"
                    " port with --metrics-port, or an address of this machine with --metrics-address"
                ) from error
        log = opened.enter_context(observer_for(session.mask, quiet=quiet, log=session.log))
        if config.lineage is not None:
            from parcours.pipelines.lineage import Lineage  # noqa: PLC0415, loads the client

            served.append(Lineage(config, session.mask, log.warn))
        yield Observers(log, *served) if served else log
