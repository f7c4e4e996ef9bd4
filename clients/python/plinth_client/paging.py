"""Pages of a list, and iteration over all of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from plinth_client.responses import Page, from_json

MAX_PAGE_SIZE = 100  # the API's maximum


class Identified(Protocol):
    """An object with an id."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Identified)


def joined(values: Sequence[str] | None) -> str | None:
    """Several values as one parameter of a query; None, which is omitted, without any."""
    return ",".join(values) if values else None


def flag(value: bool | None) -> str | None:
    """A flag as a parameter of a query."""
    return None if value is None else str(value).lower()


def page(kind: type[T], body: Any) -> Page[T]:
    """A page from a response's {data, meta}."""
    meta = body.get("meta") or {"total": len(body["data"]), "offset": 0, "limit": len(body["data"])}
    items = tuple(from_json(kind, item) for item in body["data"])
    return Page(items, int(meta["total"]), int(meta["offset"]), int(meta["limit"]))


def list_all(load: Callable[[int], Page[T]]) -> Iterator[T]:
    """Iterate over all items; `load` fetches the page at an offset.

    An item that moves to a later page during the iteration is yielded once.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        found = load(offset)
        for item in found.items:
            if item.id not in seen:
                seen.add(item.id)
                yield item
        offset += len(found.items)
        if not found.items or offset >= found.total:
            return
