"""What a schema cannot tell: which bytes are a model, where one can be fetched, and what there is in this farm.

Schemathesis loads this in a process of its own. Data that shall be accepted gets such things put in; data that shall be
refused stays as it was generated.
"""

import json
import os
from typing import Any

import schemathesis

from tests.intake.scans import picture
from tests.support.glb import glb

IDS = {"model_id": os.environ["MODEL_ID"], "render_id": os.environ["RENDER_ID"], "overlay_id": os.environ["OVERLAY_ID"]}
NOBODY = "0" * 12
THERE = {
    "modelId": os.environ["MODEL_ID"],
    "bgImageId": os.environ["OVERLAY_ID"],
    "url": os.environ["FETCHABLE"],
    "scene": "studio",
    "animation": None,  # the model has no clips
}
FILES = {
    "POST /v1/models": ("generated.glb", glb(b"generated")),
    "POST /v1/overlays": ("generated.png", picture("PNG")),
}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001
    """Make a call that shall be accepted one that can be."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.method == "DELETE":  # what the calls after it need must stay
        case.path_parameters.update(
            {name: NOBODY for name, id_ in case.path_parameters.items() if id_ == IDS.get(name)}
        )
    elif case.meta.phase.name != "stateful":  # there an id comes from a call before
        case.path_parameters.update({name: IDS[name] for name in case.path_parameters if name in IDS})
    body: Any = case.body
    if case.operation.label in FILES:
        fields = {name: in_a_form(of_this_farm(content)) for name, content in body.items()}
        kwargs["files"] = {**fields, "file": FILES[case.operation.label]}
    elif isinstance(body, dict):
        case.body = of_this_farm(body)


def in_a_form(content: Any) -> tuple[Any, ...]:
    """A field's content as requests takes it."""
    return (None, content) if isinstance(content, str) else (None, json.dumps(content), "application/json")


def of_this_farm(value: Any) -> Any:
    """The same JSON, but whatever it names, and every id in it, is there."""
    if isinstance(value, list):
        return [of_this_farm(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: THERE[name] if name in THERE and content is not None else of_this_farm(content)
        for name, content in value.items()
    }
