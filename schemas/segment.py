"""Segments of persons, cells of value and potential, and audiences, as a user's config says them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parcours.schemas.figure import Words

Over = Literal["profiles", "contracts", "journeys", "quotes", "cases"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Segment(_Model):
    """Persons whom a condition describes."""

    over: Over = Field(description="whose rows are judged; a person is in it where one of theirs fits")
    where: str = Field(description="condition over the columns of a row, in SQL")
    label: Words | None = None
    description: str | None = None


class ValueCells(_Model):
    """What makes a customer profitable, and one of high potential: conditions over a person's facts."""

    profitable: str
    high_potential: str


class Audience(_Model):
    """Persons to be contacted, and what each is told to be there for."""

    segment: str | None = Field(default=None, description="the segment it is made from; else over and where")
    over: Over | None = None
    where: str | None = None
    purpose: str | None = Field(default=None, description="who does not consent to this purpose is left out")
    not_contacted_days: int | None = Field(
        default=None, ge=1, description="who had a touchpoint with role touch in that many days is left out"
    )
    label: Words | None = None
    reason: Words = Field(description="why a person is in it; {column} stands for the row's value")

    @model_validator(mode="after")
    def _one_source(self) -> Audience:
        inline = self.over is not None and self.where is not None
        if inline == (self.segment is not None) or (self.over is None) != (self.where is None):
            raise ValueError('write segment = "NAME", or over and where')
        return self
