"""Pages of a list, and iteration over all of them."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from plinth_client.responses import Page, from_json

MAX_PAGE_SIZE = 100  # the API's maximum


class Identified(Protocol):
    """An object with an id."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Identified)


def joined(values: Sequence[str] | None) -> str | None:
    """Several values as one parameter of a query."""
    return None if values is None else ",".join(values)


def flag(value: bool | None) -> str | None:
    """A flag as a parameter of a query."""
    return None if value is None else str(value).lower()


def page(kind: type[T], body: Any) -> Page[T]:
    """A page from a response's {data, meta}."""
    meta = body.get("meta") or {"total": len(body["data"]), "offset": 0, "limit": len(body["data"])}
    items = tuple(from_json(kind, item) for item in body["data"])
    return Page(items, int(meta["total"]), int(meta["offset"]), int(meta["limit"]))


class Unseen(Generic[T]):
    """An iteration over the pages of a list: an item that moves to a later page meanwhile is yielded once."""

    def __init__(self) -> None:
        self.offset = 0  # of the next page
        self.is_over = False
        self._seen: set[str] = set()

    def of(self, page: Page[T]) -> Iterator[T]:
        """The items of the next page that no earlier page had."""
        self.offset += len(page.items)
        self.is_over = not page.items or self.offset >= page.total
        for item in page.items:
            if item.id not in self._seen:
                self._seen.add(item.id)
                yield item
