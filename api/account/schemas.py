"""Request and response bodies of the account and of quotes."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.envelope import ApiModel
from api.ids import AccountId
from api.renders.schemas import MAX_BATCH_SIZE, CreateRender
from farm.db.tables import Account
from farm.errors import InvalidSettings
from farm.orders.price import Cost
from farm.orders.render_settings import FIELDS, unknown_field
from farm.tiers import DatasetQuality, Quality

ORDER_FIELDS = [to_camel(name) for name in CreateRender.model_fields]
NOT_IN_QUOTES = 'does not belong to a quote: each of its renders is the settings themselves, such as {"quality": "4k"}'


class AccountDetail(ApiModel):
    """The account that the API key belongs to."""

    id: AccountId
    email: Annotated[str, Field(description="Email address of the account's owner", examples=["user@example.com"])]
    credits: Annotated[int, Field(ge=0, description="Render credits left, 0 or more", examples=[47])]

    @classmethod
    def from_row(cls, row: Account) -> Self:
        return cls(id=row.id, email=row.email, credits=row.credits)


class QuoteRender(Cost):
    """One render of a quote: the settings that determine its price; all others are ignored."""

    model_config = ConfigDict(json_schema_extra={"propertyNames": {"enum": [*FIELDS]}})

    @model_validator(mode="before")
    @classmethod
    def _has_known_fields(cls, raw: Any) -> Any:
        for name in raw if isinstance(raw, dict) else ():
            if name not in FIELDS:
                problem = f"{name} {NOT_IN_QUOTES}" if name in ORDER_FIELDS else unknown_field(name)
                raise PydanticCustomError(InvalidSettings.code, "{message}", {"message": problem})
        return raw


class QuoteRequest(ApiModel):
    """Renders to be priced."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    renders: Annotated[
        list[QuoteRender],
        Field(min_length=1, max_length=MAX_BATCH_SIZE, description=f"1 to {MAX_BATCH_SIZE} renders"),
    ]


class Priced(ApiModel):
    """The price of one render: a video by its `quality`, a dataset by its `datasetQuality`."""

    quality: Annotated[
        Quality | None, Field(description="Tier of a video; omitted for a dataset", examples=["standard"])
    ] = None
    dataset_quality: Annotated[DatasetQuality | None, Field(description="Tier of a dataset; omitted for a video")] = (
        None
    )
    credits: Annotated[int, Field(ge=1, le=64, description="Price in credits, 1 to 64", examples=[4])]

    @classmethod
    def from_cost(cls, cost: Cost) -> Self:
        if cost.is_dataset:
            return cls(dataset_quality=cost.tier, credits=cost.credits)
        return cls(quality=cost.quality, credits=cost.credits)


class Quote(ApiModel):
    """The price of several renders in credits, and whether the account has enough."""

    credits_required: Annotated[int, Field(ge=1, description="Price of all renders, in credits", examples=[4])]
    credits_available: Annotated[int, Field(ge=0, description="Credits left in the account", examples=[47])]
    sufficient: Annotated[bool, Field(description="Whether the credits suffice for all renders", examples=[True])]
    breakdown: Annotated[list[Priced], Field(description="Each render's price, in the order of the request")]

    @classmethod
    def of(cls, costs: Sequence[Cost], available: int) -> Self:
        required = sum(cost.credits for cost in costs)
        return cls(
            credits_required=required,
            credits_available=available,
            sufficient=required <= available,
            breakdown=[Priced.from_cost(cost) for cost in costs],
        )
