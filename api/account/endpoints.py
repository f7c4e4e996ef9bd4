"""/v1/account and /v1/quote: the account's credits and the price of renders."""

from fastapi import APIRouter

from api.account.schemas import AccountDetail, Quote, QuoteRequest
from api.auth import AccountRead, KeyedRoute
from api.envelope import Data
from api.errors import errors
from farm.errors import BodyTooLarge, InvalidSettings, RendersRequired, TooMany

router = APIRouter(tags=["Account"], route_class=KeyedRoute)


@router.get("/account", responses=errors())
def get_account(account: AccountRead) -> Data[AccountDetail]:
    """The account that the key belongs to."""
    return Data(data=AccountDetail.from_row(account))


@router.post(
    "/quote",
    responses=errors(RendersRequired, TooMany, InvalidSettings, BodyTooLarge),
    response_model_exclude_none=True,
)
def get_quote(body: QuoteRequest, account: AccountRead) -> Data[Quote]:
    """The price of up to 100 renders, without creating them."""
    return Data(data=Quote.of(body.renders, account.credits))
