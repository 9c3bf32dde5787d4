"""From rows of numbers to a touchpoint's fields: columns for the encoders, dictionaries for the faults.

Both say the same of a row; the encoders never see a dictionary, because a million a minute leaves no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcours.pipelines.simulate.rows import NO_AMOUNT, NONE, Ints, Rows
from parcours.pipelines.simulate.words import ATTRIBUTE_DATES, ATTRIBUTES, DATES, ODD_IDS, WORDS

Kind = Literal["text", "instant", "word", "amount", "score", "list"]


@dataclass(frozen=True)
class Field:
    """One field of the touchpoint and how a row holds it."""

    name: str
    kind: Kind
    required: bool = False


_TEXT_KEYS = {"contract_id": "K", "quote_id": "Q", "claim_id": "S", "referral_id": "P", "case_id": "R"}
_WORDS = ("stage", "channel", "source", "campaign", "content", "product")

FIELDS = (
    Field("event_id", "text", required=True),
    Field("occurred_at", "instant", required=True),
    Field("customer_id", "text"),
    Field("anonymous_id", "text"),
    Field("event_type", "word", required=True),
    *(Field(name, "word", required=name == "channel") for name in _WORDS),
    *(Field(name, "text") for name in _TEXT_KEYS),
    Field("value", "amount"),
    Field("currency", "word"),
    Field("cost", "amount"),
    Field("survey", "word"),
    Field("score", "score"),
    Field("consent", "list"),
    Field("experiment", "word"),
    Field("variant", "word"),
)
"""Every field but ``attributes``, in the order of the contract."""

SCORES = tuple(str(score) for score in range(11))


class Encoder(Protocol):
    """One format: how a cell is written, and how cells stand in a record. Cells are bytes, never null."""

    def words(self, field: Field, words: tuple[str, ...]) -> list[bytes]:
        """Return the cell of each word, and last the cell of none."""
        ...

    def text(self, field: Field, values: pa.Array) -> pa.Array:
        """Return the cells of free texts, which may be null."""
        ...

    def instant(self, field: Field, micros: Ints) -> pa.Array:
        """Return the cells of UTC microseconds."""
        ...

    def amount(self, field: Field, cents: Ints) -> pa.Array:
        """Return the cells of cents, ``NO_AMOUNT`` where there is none."""
        ...

    def attributes(self, columns: list[tuple[str, tuple[str, ...], Ints]]) -> list[pa.Array]:
        """Return the cells of the attributes, given as (key, words, codes)."""
        ...

    def record(self, cells: list[pa.Array]) -> pa.Array:
        """Join the cells of all fields into records."""
        ...


def encode(rows: Rows, seed: int, encoder: Encoder) -> pa.Array:
    """Return one binary value a row, in the encoder's format."""
    cells = []
    for field in FIELDS:
        if field.kind == "text":
            cells.append(encoder.text(field, _text(rows, field.name, seed)))
        elif field.kind == "instant":
            cells.append(encoder.instant(field, rows["occurred"]))
        elif field.kind == "amount":
            cells.append(encoder.amount(field, rows[field.name]))
        else:
            words = SCORES if field.kind == "score" else WORDS[field.name]
            cells.append(pick(encoder.words(field, words), rows[field.name]))
    columns = [(key, DATES if key in ATTRIBUTE_DATES else WORDS[key], rows[key]) for key in ATTRIBUTES]
    return encoder.record([*cells, *encoder.attributes(columns)])


def pick(cells: list[bytes], codes: npt.NDArray[Any]) -> pa.Array:
    """Return each code's cell; -1 picks the last."""
    codes = codes.astype(np.int32)
    return pa.array(cells, pa.binary()).take(pa.array(np.where(codes == NONE, len(cells) - 1, codes)))


def as_record(row: np.void, seed: int) -> dict[str, Any]:
    """Return one row as a dictionary of Python's own values, ``attributes`` one too; nulls are left out."""
    one = np.array([row])
    found: dict[str, Any] = {}
    for field in FIELDS:
        if field.kind == "text":
            found[field.name] = _text(one, field.name, seed)[0].as_py()
        elif field.kind == "instant":
            found[field.name] = int(row["occurred"])
        elif field.kind == "amount":
            found[field.name] = None if row[field.name] == NO_AMOUNT else int(row[field.name]) / 100
        elif field.kind == "score":
            found[field.name] = None if row["score"] == NONE else int(row["score"])
        else:
            found[field.name] = None if row[field.name] == NONE else WORDS[field.name][row[field.name]]
    if found["consent"]:
        found["consent"] = found["consent"].split("|")
    found["attributes"] = {
        key: (DATES if key in ATTRIBUTE_DATES else WORDS[key])[row[key]]
        for key in ATTRIBUTES
        if row[key] != NONE
    }
    return {name: value for name, value in found.items() if value is not None}


def person_keys(rows: Rows) -> pa.Array:
    """Return the Kafka key of each row: its person's number, the same before and after they log in."""
    return _numbered("p", rows["person"]).cast(pa.binary())


def customer_ids(people: Ints) -> pa.Array:
    """Return the customer id of each person, given by number."""
    odd = np.isin(people, list(ODD_IDS))
    plain = _numbered("M", people)
    if odd.any():
        strange = pa.array([ODD_IDS[int(person)] for person in people[odd]])
        plain = pc.replace_with_mask(plain, pa.array(odd), strange)
    return plain


def anonymous_ids(devices: Ints, seed: int) -> pa.Array:
    """Return the anonymous id of each device, given by number."""
    return _hex(devices, ~seed)


def _text(rows: Rows, name: str, seed: int) -> pa.Array:
    if name == "event_id":
        return _hex(rows["seq"], seed)
    if name == "anonymous_id":
        return _nulled(anonymous_ids(rows["device"], seed), rows["device"] == NONE)
    if name == "customer_id":
        return _nulled(customer_ids(rows["person"]), ~rows["known"])
    column = name.removesuffix("_id")
    return _nulled(_numbered(_TEXT_KEYS[name], rows[column]), rows[column] == NONE)


def _nulled(values: pa.Array, absent: npt.NDArray[np.bool_]) -> pa.Array:
    return pc.if_else(pa.array(absent), pa.scalar(None, values.type), values)


def _numbered(letter: str, numbers: Ints) -> pa.Array:
    return pc.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")


_HEX = np.array([f"{byte:02x}".encode() for byte in range(256)], "S2")


def _hex(numbers: Ints, salt: int) -> pa.Array:
    """Return sixteen hexadecimal digits a number; distinct numbers stay distinct."""
    mixed = mix(numbers, salt).astype(">u8")
    digits = _HEX[mixed.view(np.uint8)]
    offsets = np.arange(0, 16 * len(numbers) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits))


def mix(numbers: Ints, salt: int = 0) -> npt.NDArray[np.uint64]:
    """Return a bijection of 64-bit numbers that looks random: the finaliser of splitmix64."""
    mixed = numbers.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
