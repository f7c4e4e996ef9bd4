"""Who may see the operator's pages: browsers that are logged in to an admin account."""

from typing import Annotated, cast

from fastapi import Depends, Request

from api.portal.visitors import Visitor
from farm.errors import Forbidden


async def _operator(request: Request) -> Visitor:
    """The operator. Raises Forbidden, which becomes a page, for other accounts; guests were led to the log-in."""
    visitor = cast(Visitor, request.state.guest)
    if not visitor.account.is_admin:
        raise Forbidden("Only admin accounts may see the operator's pages")
    return visitor


OperatorDep = Annotated[Visitor, Depends(_operator)]
