"""A shop's log as docs/quarantine.md has it: right, and with records broken in five ways."""

import json
from pathlib import Path


def record(number):
    """One right record, of a few thousand persons over a year."""
    kind = ("order", "visit", "repair")[number % 3]
    minute = number * 37 % 525_600
    day, hour = minute // 1440, minute // 60 % 24
    made = {
        "id": f"s{number}",
        "who": f"M-{number * 7919 % 4_999}",
        "what": kind,
        "where": ("site", "shop")[number % 2],
        "at": f"2025-{1 + day // 28 % 12:02}-{1 + day % 28:02}T{hour:02}:{minute % 60:02}",
    }
    if kind == "order":
        made["paid"] = f"{number % 900}.50"
    if kind == "repair":
        made["step"] = "service"
    return made


def _date(right):
    day, time = right["at"].split("T")
    return {**right, "at": f"{day[8:]}/{day[5:7]}/{day[:4]} {time}"}


def _channel(right):
    return {name: value for name, value in right.items() if name != "where"}


FAULTS = {
    "value.number": lambda right: {**right, "paid": f"{right['paid'].replace('.', ',')} €"},
    "stage.known": lambda right: {**right, "step": "SAV"},
    "occurred_at.readable": _date,
    "channel.required": _channel,
}
"""What breaks a record, by the rule; the fifth way is to tear it."""


def fault_of(number):
    """The rule that a record is broken by where its fault is to be mended."""
    if number % 20 == 19:
        return "torn"
    kinds = {0: "value.number", 2: "stage.known"}
    if number % 2 and number % 3 != 1:
        return kinds[number % 3]
    return "channel.required" if number % 2 else "occurred_at.readable"


def write_logs(right: Path, wrong: Path, *, records: int, broken: int) -> tuple[int, int]:
    """Write a right log and a wrong one, each ``shop.ndjson`` in its folder.

    What is mended by a default is right with that default, and a torn record is none in the right log.

    Args:
        right: the one's folder.
        wrong: the other's.
        records: how many there are.
        broken: how many of them are broken.

    Returns:
        How many are broken, and how many of these are torn.
    """
    good, bad, torn = [], [], 0
    for number in range(records):
        made = record(number)
        fault = fault_of(number) if number < broken else None
        if fault == "channel.required":
            made["where"] = "shop"
        line = json.dumps(made, ensure_ascii=False)
        if fault == "torn":
            torn += 1
            bad.append(line[: len(line) // 2])
            continue
        good.append(line)
        bad.append(json.dumps(FAULTS[fault](made), ensure_ascii=False) if fault else line)
    for folder, lines in ((right, good), (wrong, bad)):
        folder.mkdir()
        (folder / "shop.ndjson").write_text("\n".join(lines) + "\n", "utf-8")
    return broken, torn
