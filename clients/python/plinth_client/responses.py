"""The API's responses as frozen dataclasses. Unknown fields of a newer server are ignored."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """The result of an upload. `duplicate`: the account already had this file, and this is its model."""

    model_id: str
    render_id: str
    duplicate: bool = False


@dataclass(frozen=True)
class Model:
    """An uploaded model. `file_size` in bytes."""

    id: str
    original_name: str
    file_size: int
    sha256: str
    created_at: datetime
    title: str | None = None
    sku: str | None = None
    external_id: str | None = None
    tags: tuple[str, ...] = ()
    archived: bool = False


@dataclass(frozen=True)
class ModelRender:
    """A render in the list of its model."""

    id: str
    status: str
    created_at: datetime
    updated_at: datetime
    render_settings: Mapping[str, Any] = field(default_factory=dict)
    is_system_preview: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelDetail(Model):
    """A model with up to 100 renders, the system preview and the newest ones, oldest first, of `renders_total`."""

    renders: tuple[ModelRender, ...] = ()
    renders_total: int | None = None

    @property
    def preview(self) -> ModelRender | None:
        """The free system preview, which also tests the model."""
        return next((render for render in self.renders if render.is_system_preview), None)


@dataclass(frozen=True)
class HashCheck:
    """Whether the account has uploaded a file with this hash, and the id of its model."""

    exists: bool
    model_id: str | None = None


@dataclass(frozen=True)
class Progress:
    """`frames` of `of` frames are rendered."""

    frames: int
    of: int


@dataclass(frozen=True)
class QueuedRender:
    """A queued render. Renders of a batch have no `render_settings`."""

    id: str
    model_id: str
    status: str
    render_settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Render:
    """A render with its progress and results. `file_size`: bytes of the video, None until the render is done."""

    id: str
    model_id: str
    status: str
    created_at: datetime
    updated_at: datetime
    render_settings: Mapping[str, Any] = field(default_factory=dict)
    file_size: int | None = None
    error_message: str | None = None
    has_web_variant: bool = False
    is_system_preview: bool = False
    progress: Progress | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Overlay:
    """An image behind or in front of renders; its `id` is the value of `bgImageId` or `fgImageId`."""

    id: str
    layer: str
    alignment: str
    name: str | None = None


@dataclass(frozen=True)
class OverlayDetail(Overlay):
    """An overlay in a list. `published`: every account may use it. Width and height in pixels, `file_size` in bytes."""

    published: bool = False
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    file_size: int | None = None
    created_at: datetime | None = None
    description: str | None = None


@dataclass(frozen=True)
class Scene:
    """A scene template; its `name` is the value of `scene`. `still`: path of a picture, None if there is none."""

    name: str
    title: str
    description: str
    still: str | None = None


@dataclass(frozen=True)
class Effect:
    """A camera path; its `name` is the value of `effect`. `fields`: the render settings that only some effects have.

    `loops`: the video is seamless when it is repeated. `still`: path of a picture, None if there is none.
    """

    name: str
    title: str
    description: str
    loops: bool
    fields: tuple[str, ...] = ()
    still: str | None = None


@dataclass(frozen=True)
class Account:
    """The account that the API key belongs to."""

    id: str
    email: str
    credits: int


@dataclass(frozen=True)
class QuoteItem:
    """The price of one render."""

    credits: int
    quality: str | None = None
    dataset_quality: str | None = None


@dataclass(frozen=True)
class Quote:
    """The price of several renders, and whether the account has enough credits."""

    credits_required: int
    credits_available: int
    sufficient: bool
    breakdown: tuple[QuoteItem, ...] = ()


@dataclass(frozen=True)
class Health:
    """The API and its dependencies are up."""

    status: str
    database: str | None = None
    redis: str | None = None


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list: the `items` from `offset` on, of `total`."""

    items: tuple[T, ...]
    total: int
    offset: int
    limit: int


def from_json(kind: type[T], value: Any) -> T:
    """A dataclass from decoded JSON. Raises ValueError if a field without default is missing."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind.__name__} is not a JSON object")
    hints = get_type_hints(kind)
    values = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        name = next((name for name in (_camel(entry.name), entry.name) if name in value), None)
        if name is not None:
            values[entry.name] = _value(hints[entry.name], value[name])
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise ValueError(f"{kind.__name__} lacks the field {_camel(entry.name)}")
    return kind(**values)


def to_json(value: Any) -> Any:
    """A dataclass, or a tuple of them, as JSON with the names of the API."""
    if is_dataclass(value):
        return {_wire_name(entry.name): to_json(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return dict(value) if isinstance(value, Mapping) else value


def _wire_name(name: str) -> str:
    return name if name == "is_system_preview" else _camel(name)


def _value(hint: Any, wire: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):  # only `X | None` occurs
        return None if wire is None else _value(get_args(hint)[0], wire)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in wire)
    if hint is datetime:
        return datetime.fromisoformat(wire)
    return from_json(hint, wire) if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__") else wire


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
