"""The account and quotes as they cross HTTP."""

from typing import Annotated, Self

from pydantic import Field

from api.envelope import Wire
from api.renders.schemas import MOST_AT_ONCE
from farm.credits import Cost, DatasetQuality, Quality
from farm.db.tables import Account


class AccountDetail(Wire):
    """Whose key it is, and how many credits are left."""

    id: str
    email: str
    credits: Annotated[int, Field(ge=0, description="Render credits left")]

    @classmethod
    def from_row(cls, row: Account) -> Self:
        return cls(id=row.id, email=row.email, credits=row.credits)


class AskQuote(Wire):
    """Renders to be priced, each with the fields of render settings; only those that decide the price are looked at."""

    renders: Annotated[list[Cost], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Priced(Wire):
    """What one render would cost: by its `quality`, or a dataset by its `datasetQuality`."""

    quality: Quality | None = None
    dataset_quality: DatasetQuality | None = None
    credits: int

    @classmethod
    def from_cost(cls, cost: Cost) -> Self:
        if cost.is_dataset:
            return cls(dataset_quality=cost.dataset_quality, credits=cost.credits)
        return cls(quality=cost.quality, credits=cost.credits)


class Quote(Wire):
    """What renders would cost, in credits, and whether the account has as many."""

    credits_required: int
    credits_available: int
    sufficient: bool
    breakdown: list[Priced]

    @classmethod
    def of(cls, costs: list[Cost], available: int) -> Self:
        required = sum(cost.credits for cost in costs)
        return cls(
            credits_required=required,
            credits_available=available,
            sufficient=required <= available,
            breakdown=[Priced.from_cost(cost) for cost in costs],
        )
