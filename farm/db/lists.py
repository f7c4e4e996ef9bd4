"""What lists of models, renders and overlays have in common: which rows, in which order, which page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from farm.db.tables import Table
from farm.ids import well_formed

MILLISECOND = timedelta(milliseconds=1)  # the precision of times in the API


@dataclass(frozen=True)
class Listing:
    """A page of a list: of rows with one of the `ids`, with the text, and created after a time, where these are given.

    `sort` names a column, with a minus in front for descending order.
    """

    ids: Sequence[str] = ()
    text: str = ""
    created_after: datetime | None = None
    sort: str = "-createdAt"
    limit: int = 50
    offset: int = 0


def conditions(table: type[Table], listing: Listing) -> list[ColumnElement[bool]]:
    """The conditions of a listing, except for its text."""
    found: list[ColumnElement[bool]] = []
    if listing.ids:
        found.append(table.id.in_([id_ for id_ in listing.ids if well_formed(id_)]))
    if after := listing.created_after:
        # A row whose time reads the same in the API is not later.
        found.append(table.created_at >= after.replace(microsecond=after.microsecond // 1000 * 1000) + MILLISECOND)
    return found


def contains(
    text: str, *columns: InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
) -> ColumnElement[bool]:
    """Whether one of the columns contains the text, in upper or lower case."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def order(table: type[Table], sort: str, columns: Mapping[str, Any]) -> list[ColumnElement[Any]]:
    """The order that `sort` names, by the columns of that name; rows that are equal in it, by their ids."""
    chosen = columns[sort.removeprefix("-")], table.id
    return [column.desc() for column in chosen] if sort.startswith("-") else [column.asc() for column in chosen]
