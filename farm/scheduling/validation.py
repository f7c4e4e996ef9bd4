"""Validates a request against the account and the model, before credits are charged or chunks queued."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from farm.db import overlays
from farm.db.tables import Account
from farm.errors import InvalidSettings, OverlayNotFound
from farm.orders.render_settings import RenderSettings
from farm.orders.settings_messages import not_allowed


def check(db: Session, account: Account, clips: Sequence[str], request: RenderSettings) -> None:
    """Refuse settings that this account, or a model with these animation clips, does not allow.

    Raises InvalidSettings, naming the field, its value and the allowed values.
    """
    check_without_model(db, account, request)
    request.check_against(clips, admin=account.is_admin)


def check_without_model(db: Session, account: Account, request: RenderSettings) -> None:
    """Like `check`, as far as it does not depend on the model. Raises InvalidSettings."""
    request.check_length(admin=account.is_admin)
    if request.bg_image_id:
        try:
            overlays.usable(db, account.id, request.bg_image_id)
        except OverlayNotFound as error:
            allowed = "the id of an overlay of your own or a published one"
            raise InvalidSettings(not_allowed("bgImageId", request.bg_image_id, allowed)) from error
