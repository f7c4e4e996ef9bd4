"""Hooks of schemathesis that insert what a schema cannot express: bytes of a model, its URL, existing ids, new keys.

Schemathesis loads this module in its own process. Positive test cases, which the API must accept, get these values;
negative ones stay as generated.
"""

import json
import os
import uuid
from typing import Any

import schemathesis

from tests.intake.scans import picture
from tests.support.glb import glb

IDS = {"model_id": os.environ["MODEL_ID"], "render_id": os.environ["RENDER_ID"], "overlay_id": os.environ["OVERLAY_ID"]}
UNKNOWN_ID = "0" * 12
EXISTING = {
    "modelId": os.environ["MODEL_ID"],
    "bgImageId": os.environ["OVERLAY_ID"],
    "fgImageId": os.environ["FOREGROUND_ID"],
    "url": os.environ["FETCHABLE"],
    "scene": "studio",
    "animation": None,  # the model has no clips
    # Views that fit into every tier and coverage; cameras need rotations, which random matrices are not.
    "views": 20,
    "size": 200,
    "elevations": [0, 60],
    "cameras": None,
}
FILES = {
    "POST /v1/models": ("generated.glb", glb(b"generated")),
    "POST /v1/overlays": ("generated.png", picture("PNG")),
}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001
    """Insert existing ids and files into a positive test case."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.method == "DELETE":  # keep the objects that later calls need
        case.path_parameters.update(
            {name: UNKNOWN_ID for name, id_ in case.path_parameters.items() if id_ == IDS.get(name)}
        )
    elif case.meta.phase.name != "stateful":  # there, an id comes from an earlier call
        case.path_parameters.update({name: IDS[name] for name in case.path_parameters if name in IDS})
    if "Idempotency-Key" in case.headers:  # the same key with another body would be refused
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    body: Any = case.body
    if case.operation.label in FILES:
        fields = {name: in_a_form(of_this_farm(content)) for name, content in body.items()}
        kwargs["files"] = {**fields, "file": FILES[case.operation.label]}
    elif isinstance(body, dict):
        case.body = of_this_farm(body)


def in_a_form(content: Any) -> tuple[Any, ...]:
    """The content of a field in the form that requests expects."""
    return (None, content) if isinstance(content, str) else (None, json.dumps(content), "application/json")


def of_this_farm(value: Any) -> Any:
    """The same JSON with existing ids and values."""
    if isinstance(value, list):
        return [of_this_farm(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: EXISTING[name] if name in EXISTING and content is not None else of_this_farm(content)
        for name, content in value.items()
    }
