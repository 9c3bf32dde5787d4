"""A store for figures by worked numbers: touchpoints and reference inputs go in, a figure's rows come out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from loading import Loader, config_of, hashed
from parcours.kpis.catalogue import figures
from parcours.kpis.figures import query
from parcours.kpis.scope import Scope
from parcours.kpis.views import setting_of
from parcours.schemas.config import Config
from parcours.schemas.references import REFERENCES
from reference import Options
from strategies import Slice

LATER = "2027-01-01"
"""An instant at which everything in these worlds is over."""

Row = dict[str, Any]


class FigureStore:
    """One store in memory, emptied between worlds.

    Args:
        options: the words of the touchpoints.
        kpi: keys of ``[kpi]``.
    """

    def __init__(self, options: Options, **kpi: Any) -> None:
        self._loader = Loader()
        self.connection = self._loader.connection
        self._options = options
        config = config_of(options)
        self._setting = setting_of(Config.model_validate({**config.model_dump(), "kpi": kpi}))

    def fill(self, touchpoints: Sequence[Row] = (), **references: Sequence[Row]) -> None:
        """Hold these touchpoints, Ann's on the site where they do not say, and reference inputs."""
        self._loader.empty()
        events = [
            {
                "event_id": f"e{number:02}",
                "customer_id": "Ann",
                "channel": "site",
                **_place("s", number),
                **fields,
            }
            for number, fields in enumerate(touchpoints)
        ]
        inputs = {
            name: [
                {
                    **dict.fromkeys(REFERENCES[name].fields.names),
                    "attributes": [],
                    **_place(name, number),
                    **fields,
                }
                for number, fields in enumerate(rows)
            ]
            for name, rows in references.items()
        }
        self._loader.load([Slice(hashed(events), inputs)], self._options)

    def rows(
        self,
        name: str,
        cut: str = "total",
        *,
        grain: str = "month",
        as_of: str = LATER,
        where: str | None = None,
    ) -> list[Row]:
        """Return a figure's rows at one grain, of the total or cut by one dimension."""
        asked = query(
            name,
            figures()[name],
            Scope(f"TIMESTAMP '{as_of}'", where),
            self._setting,
            grains=[grain],
            sets=[(cut,)],
        )
        result = self.connection.execute(f"FROM ({asked}) ORDER BY period_start, dimension_values")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def pairs(self, name: str, cut: str = "total", **asked: Any) -> dict[tuple[Any, ...], tuple[Any, Any]]:
        """Return numerator and denominator by period and group."""
        return {
            (f"{row['period_start']}", *row["dimension_values"]): (row["numerator"], row["denominator"])
            for row in self.rows(name, cut, **asked)
        }


def happened(event_type: str, at: str, **fields: Any) -> Row:
    """Return a touchpoint; times are UTC."""
    return {"event_type": event_type, "occurred_at": datetime.fromisoformat(at), **fields}


def _place(source: str, number: int) -> Row:
    return {"source_name": source, "source_topic": "t", "source_partition": 0, "source_offset": number}
