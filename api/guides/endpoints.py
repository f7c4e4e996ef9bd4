"""/guides: an index, a page for each guide, and their pictures. Public, without a session and without the database."""

import gzip
import hashlib
import os.path
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from api.assets.service import is_not_modified
from api.guides import contents, markdown
from api.guides.contents import Guide
from api.portal import pages
from api.portal.static_files import NEVER_CHANGES, StaticFile
from farm.errors import NotFound

router = APIRouter(include_in_schema=False)

HTML = "text/html; charset=utf-8"
POLICY = pages.POLICY.format(scripts="", styles="", workers="", files="")


@router.get("/guides")
def get_index(request: Request) -> Response:
    return _response(request, _index())


@router.get("/guides/pictures/{name:path}")
def get_picture(name: str) -> Response:
    """A picture of a guide. Raises NotFound, also for an earlier version of it."""
    file = contents.pictures().get(name)
    if file is None:
        raise NotFound
    return Response(file.read_bytes(), 200, NEVER_CHANGES, contents.PICTURE_TYPES[file.suffix])


@router.get("/guides/{name:path}")
def get_guide(request: Request, name: str) -> Response:
    if name not in contents.guides():
        return pages.error_page(request, NotFound(f"There is no guide {name[:80]}: /guides lists all"))
    return _response(request, _page(name))


def _response(request: Request, page: StaticFile) -> Response:
    tag = f'"{hashlib.sha256(page.content).hexdigest()[: contents.DIGEST_LENGTH]}"'
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY, "ETag": tag}
    if is_not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    return page.response(request, headers)


@cache
def _index() -> StaticFile:
    return _html("guides.html", path="/guides")


@cache
def _page(name: str) -> StaticFile:
    guide = contents.guides()[name]
    document = render(guide)
    order = [guide for group in contents.groups().values() for guide in group]
    place = order.index(guide) if guide in order else None
    return _html(
        "guide.html",
        path=guide.url,
        document=document,
        article=Markup(document.html),  # the renderer escapes it
        summary=guide.summary,
        sections=[heading for heading in document.headings if heading.level == 2],
        earlier=order[place - 1] if place else None,
        later=order[place + 1] if place is not None and place + 1 < len(order) else None,
    )


def _html(template: str, **values: Any) -> StaticFile:
    text = pages.html(template, guest=None, groups=contents.groups(), **values).encode()
    return StaticFile(HTML, text, gzip.compress(text, mtime=0))


def render(guide: Guide) -> markdown.Document:
    """A guide in HTML, with links to the other guides and to pictures."""
    folder = guide.file.parent

    def file(target: str) -> Path:
        return Path(os.path.normpath(folder / target))

    return markdown.render(
        guide.file.read_text(encoding="utf-8"),
        link=lambda target: contents.guide_url(file(target)),
        picture=lambda target: contents.picture_url(file(target)),
    )
