"""Models as they cross HTTP."""

from typing import Literal, Self

from api.envelope import Moment, Wire
from api.renders.schemas import RenderSummary
from farm.db.tables import Model


class Uploaded(Wire):
    """What an upload became."""

    model_id: str
    render_id: str
    duplicate: Literal[True] | None = None


class ModelDetail(Wire):
    """A model with all its renders, oldest first."""

    id: str
    original_name: str
    title: str | None
    sku: str | None
    tags: list[str]
    file_size: int
    sha256: str
    created_at: Moment
    renders: list[RenderSummary]

    @classmethod
    def from_row(cls, row: Model) -> Self:
        return cls(
            id=row.id,
            original_name=row.original_name,
            title=row.title,
            sku=row.sku,
            tags=row.tags,
            file_size=row.file_size,
            sha256=row.sha256,
            created_at=row.created_at,
            renders=[RenderSummary.from_row(render) for render in row.renders],
        )
