"""Completes the OpenAPI document: names for generated clients, scopes, phrases, and an example of every schema."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

Schema = dict[str, Any]

TAGS = {
    "Models": "Uploaded 3D files, and how to find them again.",
    "Renders": "Videos and datasets that are made from models.",
    "Assets": "The finished files of a render.",
    "Overlays": "Pictures behind or in front of the model.",
    "Scenes and effects": "What render settings may name.",
    "Account": "The account that the API key belongs to, its credits, and prices.",
    "Administration": "Renders and the queue of all accounts, for the farm's operators.",
    "Health": "Whether the farm is up.",
}
SUMMARIES = {
    "uploadModel": "Upload a model and order a render of it",
    "ingestModel": "Upload a model from a URL and order a render of it",
    "checkHash": "Check whether a file is uploaded already",
    "listModels": "List models",
    "getModel": "Get a model with its renders",
    "updateModel": "Change a model's title, SKU, external id or tags",
    "archiveModel": "Hide a model from lists",
    "unarchiveModel": "Show an archived model in lists again",
    "deleteModel": "Delete a model",
    "getModelFile": "Download a model's file",
    "createRender": "Order a render of a model",
    "createBatch": "Order up to 100 renders at once",
    "listRenders": "List renders",
    "getRender": "Get a render with its progress",
    "dismissRender": "Acknowledge a failed render",
    "deleteRender": "Delete a render and its files",
    "getVideo": "Download the video",
    "getPoster": "Download the poster",
    "getThumb": "Download the thumbnail video",
    "getThumbStill": "Download the thumbnail as a still",
    "getBundle": "Download all files in one zip",
    "uploadOverlay": "Upload an overlay",
    "listOverlays": "List overlays",
    "publishOverlay": "Let every account use an overlay",
    "unpublishOverlay": "Make a published overlay private again",
    "deleteOverlay": "Delete an overlay",
    "listScenes": "List scenes",
    "getSceneStill": "Download a picture of a scene",
    "listEffects": "List effects",
    "getEffectStill": "Download pictures of an effect",
    "getAccount": "Get the account and its credits",
    "getQuote": "Get the price of up to 100 renders",
    "listAllRenders": "List the renders of all accounts",
    "showRender": "Get any account's render with all attempts",
    "cancelRender": "Cancel any account's render",
    "retryRender": "Queue any account's failed render again",
    "putRenderFirst": "Let a render have the next turns",
    "getQueue": "Get what waits and runs",
    "getHealth": "Check whether the farm is up",
}
UNDESCRIBED = "Successful Response"  # FastAPI's own words
GENERIC = re.compile(r"(Data|Page)_(list_)?(\w+?)_+")


class CompletedApi(FastAPI):
    """A FastAPI application whose OpenAPI document is complete, and readable as a generated client."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
                tags=[{"name": name, "description": description} for name, description in TAGS.items()],
            )
            document = _renamed(document)
            schemas = document["components"]["schemas"]
            for operations in document["paths"].values():
                for operation in operations.values():
                    _complete(operation, schemas)
            for name, schema in schemas.items():
                schema["title"] = name
                schema["examples"] = [_example(schema, schemas)]
            self.openapi_schema = document
        return self.openapi_schema


def operation_id(route: APIRoute) -> str:
    """The name of a call in generated clients: createRender."""
    return to_camel(route.name)


def _complete(operation: Schema, schemas: dict[str, Schema]) -> None:
    operation["summary"] = SUMMARIES[operation["operationId"]]
    for response in operation["responses"].values():
        if response["description"] == UNDESCRIBED:
            response["description"] = _content(response["content"]["application/json"]["schema"], schemas)
    for security in operation.get("security", []):
        for scopes in security.values():
            operation["description"] += f"\n\nRequires the scope `{', '.join(scopes)}`."


def _content(envelope: Schema, schemas: dict[str, Schema]) -> str:
    """What is in an envelope: the description of the object, or of the objects in its list."""
    data = _referenced(envelope, schemas)["properties"]["data"]
    many = "A list. Each item: " if "items" in data else ""
    return many + str(_referenced(data.get("items", data), schemas)["description"])


def _referenced(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    return schemas[schema["$ref"].rpartition("/")[2]]


def _renamed(value: Any) -> Any:
    """The document with readable names of generic schemas, and without the titles that only repeat fields' names."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if isinstance(value, str) and value.startswith("#/components/schemas/"):
        return GENERIC.sub(_readable, value)
    if not isinstance(value, dict):
        return value
    is_field = isinstance(value.get("title"), str) and {"type", "anyOf", "$ref", "enum", "const"} & value.keys()
    return {
        GENERIC.sub(_readable, name) if GENERIC.fullmatch(name) else name: _renamed(content)
        for name, content in value.items()
        if not (is_field and name == "title")
    }


def _readable(name: re.Match[str]) -> str:
    kind, is_list, content = name.groups()
    if kind == "Page":
        return f"{content}Page"
    return f"{content}ListResponse" if is_list else f"{content}Response"


def _example(schema: Schema, schemas: dict[str, Schema]) -> Any:
    """A value that fits the schema: its own example, its constant or default, or one composed of its parts."""
    if "examples" in schema:
        return schema["examples"][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "$ref" in schema:
        return _example(_referenced(schema, schemas), schemas)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)]
    return {
        name: _example(field, schemas)
        for name, field in schema["properties"].items()
        if name in schema.get("required", ()) or "examples" in field or field.get("default") is not None
    }
