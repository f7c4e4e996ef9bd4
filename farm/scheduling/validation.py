"""Validates a request against the account and the model, before credits are charged or chunks queued."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from farm.db import overlays
from farm.db.tables import Account, Overlay
from farm.errors import InvalidSettings, OverlayNotFound
from farm.orders.render_settings import RenderSettings
from farm.orders.settings_messages import not_allowed


def check(db: Session, account: Account, clips: Sequence[str], request: RenderSettings) -> RenderSettings:
    """The settings, completed by those of the overlays that they name.

    Refuses what this account, or a model with these animation clips, does not allow.

    Raises InvalidSettings, naming the field, its value and the allowed values.
    """
    completed = check_without_model(db, account, request)
    request.check_against(clips, admin=account.is_admin)
    return completed


def check_without_model(db: Session, account: Account, request: RenderSettings) -> RenderSettings:
    """Like `check`, as far as it does not depend on the model. Raises InvalidSettings."""
    request.check_length(admin=account.is_admin)
    if request.fg_image_id:
        _overlay(db, account, "fgImageId", request.fg_image_id, "foreground")
    if request.bg_image_id:
        background = _overlay(db, account, "bgImageId", request.bg_image_id, "background")
        if "bg_align" not in request.model_fields_set:
            return request.model_copy(update={"bg_align": background.alignment})
    return request


FIELDS = {"background": "bgImageId", "foreground": "fgImageId"}  # by layer


def _overlay(db: Session, account: Account, field: str, overlay_id: str, layer: str) -> Overlay:
    """The overlay that a field names, which must be of this layer. Raises InvalidSettings."""
    try:
        overlay = overlays.usable(db, account.id, overlay_id)
    except OverlayNotFound as error:
        allowed = "the id of an overlay of your own or a published one"
        raise InvalidSettings(not_allowed(field, overlay_id, allowed)) from error
    if overlay.layer != layer:
        allowed = f"an overlay of layer {layer}: this one has layer {overlay.layer}, so name it as"
        raise InvalidSettings(not_allowed(field, overlay_id, f"{allowed} {FIELDS[overlay.layer]}"))
    return overlay
