"""The JSON Schema of the ownership document, for editors that complete and check while one types.

Belongs here: what the schema must add to the models' own, namely the short forms that their
validators accept. Does not: checking (`load`, `lint`); the schema is never asked by the flow.
"""

from __future__ import annotations

from typing import Any

from sor_pipeline.ownership.document import Ownership

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHORT: dict[str, dict[str, dict[str, Any]]] = {
    "Extract": {
        "files": {"type": "string", "description": "one glob below the extracts folder"},
        "deleted": {"type": "string", "description": "a column in which the usual spellings of true mean deleted"},
    },
    "Source": {"key": {"type": "string", "description": "the column that names a record"}},
}
"""Model -> key -> the short form that stands for the long one."""
_SCALAR = ["string", "number", "boolean"]
"""Where a text is expected, YAML may hold what looks like a number: the loader reads it as it is written."""


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of one whole document.

    A file of a folder holds a part of a document, so nothing at the top level is required by it.
    """
    schema = Ownership.model_json_schema(by_alias=True)
    for model, keys in _SHORT.items():
        properties = schema["$defs"][model]["properties"]
        for key, short in keys.items():
            properties[key] = _either(short, properties[key])
    mappings = schema["$defs"]["Source"]["properties"]["fields"]
    short = {"type": "string", "description": "the column, or the dotted path, that holds the value"}
    mappings["patternProperties"] = {
        pattern: _either(short, mapping) for pattern, mapping in mappings["patternProperties"].items()
    }
    schema.pop("required", None)
    return {"$schema": DIALECT, "$comment": "made by `sor schema`", **_loose(_closed(schema))}


def _either(short: dict[str, Any], long: dict[str, Any]) -> dict[str, Any]:
    around: dict[str, Any] = {key: long[key] for key in ("title", "description", "default") if key in long}
    return {**around, "anyOf": [short, {key: value for key, value in long.items() if key not in around}]}


def _closed(spec: Any) -> Any:
    """A key that no pattern allows is a fault: pydantic leaves that out of the schemas of its dicts."""
    if isinstance(spec, list):
        return [_closed(item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    closed = {key: _closed(value) for key, value in spec.items()}
    if isinstance(spec.get("patternProperties"), dict) and "additionalProperties" not in spec:
        closed["additionalProperties"] = False
    return closed


def _loose(spec: Any) -> Any:
    """Free texts may be written as numbers or booleans: `codes: {1: lead}`, `of: [1, 2]`."""
    if isinstance(spec, list):
        return [_loose(item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    if spec.get("type") == "string" and not spec.keys() & {
        "pattern",
        "enum",
        "const",
        "format",
        "minLength",
        "maxLength",
    }:
        return {**spec, "type": _SCALAR}
    return {key: _loose(value) for key, value in spec.items()}
