"""The page of scene templates: a still of each, its samples, and whether its files can be read."""

from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from api import catalogue
from api.portal import pages
from api.portal.visitors import OperatorDep, PortalRoute
from farm import templates
from farm.errors import BadTemplate
from farm.templates import Template

router = APIRouter(route_class=PortalRoute)


class Checked(NamedTuple):
    """A template, or the problem for which renders with it are refused."""

    name: str
    template: Template | None
    problem: str | None
    is_built_in: bool
    has_still: bool


@router.get("/templates")
def list_templates(request: Request, operator: OperatorDep) -> Response:
    """All templates."""
    stills = {scene.name for scene in catalogue.list_scenes(operator.account).data if scene.still}
    checked = [_checked(name, name in stills) for name in templates.names()]
    return pages.page(request, "operator/templates.html", templates=checked)


def _checked(name: str, has_still: bool) -> Checked:
    is_built_in = templates.blend(name).parent == templates.BUILT_IN
    try:
        return Checked(name, templates.load(name), None, is_built_in, has_still)
    except BadTemplate as error:
        return Checked(name, None, error.message, is_built_in, has_still)
