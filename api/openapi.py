"""Adds an example to every OpenAPI schema, composed of the examples of its fields."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

Schema = dict[str, Any]


class ApiWithExamples(FastAPI):
    """A FastAPI application whose OpenAPI schemas all have examples."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            schemas = document["components"]["schemas"]
            for schema in schemas.values():
                schema["examples"] = [_example(schema, schemas)]
            self.openapi_schema = document
        return self.openapi_schema


def _example(schema: Schema, schemas: dict[str, Schema]) -> Any:
    """A value that fits the schema: its own example, its constant or default, or one composed of its parts."""
    if "examples" in schema:
        return schema["examples"][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)]
    return {
        name: _example(field, schemas)
        for name, field in schema["properties"].items()
        if name in schema.get("required", ()) or "examples" in field or field.get("default") is not None
    }
