"""Opting out of marketing, and taking that back: decisions of people that are kept with their instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parcours.pipelines.decisions import record_decision
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.people import find_person
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import StoreRun
from parcours.schemas.config import Config


@dataclass(frozen=True)
class Opted:
    """What came of it: whose decision it is, and whether it changes what holds."""

    profile_id: str
    changes: bool


def decide_opting(config: Config, kind: Literal["opt_out", "opt_in"], person: str) -> Opted:
    """Record that a person opts out, or takes that back, unless it is so already.

    Args:
        config: names the store, and has its rules.
        kind: which of the two.
        person: a customer id, the id of a device, or ``anon:`` and that id.

    Raises:
        PersonError: nobody has this id, or several persons have.
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
        RulesChangedError: the store was built with other rules.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": nobody is known yet')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        run = StoreRun(store, config, "audience", SilentObserver())
        try:
            run.prepare()
            profile_id = find_person(store.connection, person)
            stands = "SELECT count(*) > 0 FROM opted_out() WHERE profile_id = ?"
            is_out = bool(store.connection.execute(stands, [profile_id]).fetchall()[0][0])
            changes = is_out != (kind == "opt_out")
            if changes:
                with run.transaction():
                    record_decision(store.connection, run.run.run_id, kind, profile_id, profile_id)
                run.result.slices += 1
                run.finish("done")
            return Opted(profile_id, changes)
        finally:
            run.close()
