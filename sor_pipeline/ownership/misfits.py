"""What the models refuse, as faults with file and line.

Belongs here: the wording of pydantic's errors. Does not: faults between parts that are each well formed (`lint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from sor_pipeline.errors import Fault
from sor_pipeline.ownership.base import NAME_PATTERN, SOURCE_PATTERN
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.places import Places, Step
from sor_pipeline.ownership.suggest import did_you_mean, one_of, shown

MAX_FAULTS = 100
_SHAPES = {
    "model_type": "a mapping (`key: value`)",
    "model_attributes_type": "a mapping (`key: value`)",
    "dict_type": "a mapping (`key: value`)",
    "tuple_type": "a list (`[a, b]`)",
    "string_type": "a text",
    "bool_type": "`true` or `false`",
    "bool_parsing": "`true` or `false`",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "time_delta_type": "a duration like `90 days`",
    "time_delta_parsing": "a duration like `90 days`",
}
_NAME = "lower snake case, at most 40 characters"
_SOURCE_NAME = "`system.stream`, lower snake case, as in `hubspot.contacts`"
_NAME_TODO = "rename it: lower-case letters, digits and single underscores, a letter first"


def misfits(details: Sequence[ErrorDetails], places: Places) -> list[Fault]:
    """One fault per error, the first `MAX_FAULTS` of them; the rest are counted in a last one."""
    schema = _schema()
    faults = [_fault(detail, places, schema) for detail in details[:MAX_FAULTS]]
    left = len(details) - MAX_FAULTS
    if left > 0:
        faults.append(
            Fault("more-faults", places.at(), f"{left:,} more faults are not listed", todo="mend these first")
        )
    return faults


@cache
def _schema() -> dict[str, Any]:
    return Ownership.model_json_schema(by_alias=True)


def known_keys(path: tuple[Step, ...]) -> list[str]:
    """The keys that the models know at a place of the document."""
    return _keys(_schema(), path)


def _fault(detail: ErrorDetails, places: Places, schema: dict[str, Any]) -> Fault:
    kind, loc = detail["type"], tuple(detail["loc"])
    path = places.along(loc)
    where = places.at(*path)
    name = str(loc[-1]) if loc else ""
    label = f"`{'.'.join(map(str, path))}`" if path else "the document"
    context = detail.get("ctx", {})
    if kind == "missing":
        spec = _described(schema, (*path, name))
        return Fault(
            "missing-key", where, f"`{name}` is missing in {label}", "", spec or f"`{name}`", f"add `{name}: …`"
        )
    if kind == "extra_forbidden":
        keys = [key for key in _keys(schema, path[:-1]) if key != name]
        return Fault(
            "unknown-key",
            where,
            f"{label} is not known here",
            f"`{name}`",
            one_of(keys),
            did_you_mean(name, keys, "remove it"),
        )
    if kind in ("string_pattern_mismatch", "string_too_long") and "[key]" in loc:
        return _bad_name(where, name_of(loc), path)
    if kind in _SHAPES:
        code = "wrong-shape" if kind.endswith("_type") else "bad-value"
        return Fault(code, where, f"{label} has the wrong form", shown(detail["input"]), _SHAPES[kind])
    if kind in ("enum", "literal_error"):
        allowed = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        todo = did_you_mean(str(detail["input"]), allowed, "choose one of these")
        return Fault(
            "bad-value", where, f"{label} is not one of its words", shown(detail["input"]), one_of(allowed), todo
        )
    if kind == "value_error":
        expected = str(context.get("error", detail["msg"])).removeprefix("expected ")
        return Fault("bad-value", where, f"{label} does not hold together", _found(detail), expected)
    if kind == "string_pattern_mismatch":
        return _bad_text(where, label, detail, _described(schema, path))
    if kind == "too_short":
        return Fault("bad-value", where, f"{label} is empty", shown(detail["input"]), "at least one")
    if kind == "union_tag_not_found":
        return Fault(
            "wrong-shape",
            where,
            f"{label} is no rule that is known",
            _found(detail),
            "`same: [...]`, `linked: {...}` or `similar: [...]`",
        )
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("String should have ")
    return Fault("bad-value", where, f"{label} cannot be used", shown(detail["input"]), expected)


def name_of(loc: tuple[Step, ...]) -> str:
    """The name that an error about a key is about."""
    return str(loc[-2]) if loc[-1] == "[key]" else str(loc[-1])


def _bad_name(where: str, name: str, path: tuple[Step, ...]) -> Fault:
    if path[0] == "sources" and len(path) == 2:
        expected, todo = _SOURCE_NAME, "name the system, a dot, the stream"
    else:
        expected, todo = _NAME, _NAME_TODO
    return Fault("bad-name", where, f"`{name[:60]}` cannot be a name here", f"`{name[:60]}`", expected, todo)


def _bad_text(where: str, label: str, detail: ErrorDetails, described: str) -> Fault:
    pattern = str(detail.get("ctx", {}).get("pattern", ""))
    expected = {NAME_PATTERN: _NAME, SOURCE_PATTERN: _SOURCE_NAME}.get(
        pattern, f"{described} (pattern {pattern})".lstrip()
    )
    return Fault("bad-value", where, f"{label} cannot be used", shown(detail["input"]), expected)


def _found(detail: ErrorDetails) -> str:
    value = detail["input"]
    return f"keys {', '.join(sorted(map(str, value)))}"[:80] if isinstance(value, dict) and value else shown(value)


def _keys(schema: dict[str, Any], path: tuple[Step, ...]) -> list[str]:
    """The keys that the models know at `path`."""
    return list(dict.fromkeys(key for spec in _at(schema, path) for key in spec.get("properties", ())))


def _described(schema: dict[str, Any], path: tuple[Step, ...]) -> str:
    return next((str(spec["description"]) for spec in _at(schema, path) if "description" in spec), "")


def _at(schema: dict[str, Any], path: tuple[Step, ...]) -> list[dict[str, Any]]:
    """The subschemas that apply at `path`: several where a union leaves it open."""
    current = _branches(schema, schema)
    for step in path:
        below: list[dict[str, Any]] = []
        for spec in current:
            if isinstance(step, int):
                below.append(spec.get("items", {}))
            else:
                named = spec.get("properties", {}).get(step)
                others = [*spec.get("patternProperties", {}).values(), spec.get("additionalProperties")]
                below += [named] if named else [other for other in others if isinstance(other, dict)]
        current = [branch for spec in below for branch in _branches(schema, spec)]
    return current


def _branches(schema: dict[str, Any], spec: dict[str, Any]) -> list[dict[str, Any]]:
    reference = spec.get("$ref")
    if reference:
        return [
            *([spec] if "description" in spec else []),
            *_branches(schema, schema["$defs"][reference.rsplit("/", 1)[-1]]),
        ]
    options = spec.get("anyOf") or spec.get("oneOf")
    if options:
        return [
            *([spec] if "description" in spec else []),
            *(b for option in options for b in _branches(schema, option)),
        ]
    return [spec]
