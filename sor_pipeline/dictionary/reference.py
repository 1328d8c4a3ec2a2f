"""The reference of the ownership document's keys, made from the models: `docs/reference.md`.

Belongs here: the page's order, the forms of values in words, and the meaning of keys that the models leave to
their names. Does not: what a rule does to rows (the manual's `rules.md`).

Made again with `python -m sor_pipeline.dictionary.reference docs/reference.md`; a test compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sor_pipeline.ownership.base import NAME_PATTERN, SOURCE_PATTERN, Noun
from sor_pipeline.ownership.document import Ownership, System
from sor_pipeline.ownership.entity import Entity, Expectation, Field, Group, Severities
from sor_pipeline.ownership.fieldtypes import CATALOGUE
from sor_pipeline.ownership.matching import Compared, Linked, Same, Similar
from sor_pipeline.ownership.rules import OwnershipException
from sor_pipeline.ownership.schema import json_schema
from sor_pipeline.ownership.source import Extract, Limits, Mapping, Source
from sor_pipeline.ownership.target import RestTarget, SourceTarget, Target

SECTIONS: tuple[tuple[type[Noun], str, str], ...] = (
    (Ownership, "The document", "The top level. In a folder of files each may hold a part; sections are put together."),
    (System, "A system", "Under `systems`, by name."),
    (Target, "A target", "Under a system's `target`: where its corrections are delivered to."),
    (RestTarget, "Requests of a target", "Under `rest` of a target of kind `rest`."),
    (SourceTarget, "A source's target", "Under a source's `target`."),
    (Entity, "An entity", "Under `entities`, by name."),
    (Field, "A field", "Under an entity's `fields`, by name."),
    (Group, "A group", "Under an entity's `groups`, by name. Its fields say `group: <name>`."),
    (OwnershipException, "An exception", "In `exceptions` of a field or group. The first that holds counts."),
    (Severities, "Severities", "Under a field's `severity`: what a failed expectation leads to."),
    (Expectation, "An expectation", "In an entity's `expectations`."),
    (Linked, "Matching: linked", "In an entity's `match`."),
    (Same, "Matching: same", "In an entity's `match`."),
    (Similar, "Matching: similar", "In an entity's `match`; at most one."),
    (Compared, "How a field is compared", "An item of `similar` written `{field: {...}}`."),
    (Source, "A source", "Under `sources`, by `<system>.<stream>`."),
    (Extract, "An extract", "Under a source's `extract`."),
    (Limits, "Limits", "Under an extract's `limits`."),
    (
        Mapping,
        "A mapping",
        "Under a source's `fields`, by field. `email: address` is short for `email: {from: address}`.",
    ),
)
_OF_ALL = {
    "title": "what people call it",
    "description": "what it is; appears in the data dictionary and in table comments",
    "steward": "who looks after it: an address or a name",
    "owner": "system of record",
    "entity": "the entity that its records are about",
    "severity": "what a failure leads to",
    "field": "the field that it is about",
}
_MEANINGS: dict[tuple[str, str], str] = {
    ("Ownership", "systems"): "the tools", ("Ownership", "entities"): "the things and their fields",
    ("Ownership", "sources"): "the streams of extracts",
    ("System", "role"): "`record` masters data, `engagement` is where interaction happens",
    ("Entity", "match"): "when two records are the same entity; any one rule is enough",
    ("Entity", "groups"): "fields that are taken from one record together",
    ("Entity", "fields"): "the canonical attributes",
    ("Entity", "expectations"): "Great Expectations expectations besides those that follow from the fields",
    ("Entity", "drift_severity"): "what a larger change than `max_drift` leads to",
    ("Field", "type"): "see [Types](#types)", ("Field", "required"): "the published value is never empty",
    ("Field", "unique"): "no two entities share a value", ("Field", "group"): "the group that it belongs to",
    ("Field", "min"): "least number", ("Field", "max"): "greatest number",
    ("Field", "blank"): "what a blank means where there was a value: `clears` takes it away, `ignored` leaves it",
    ("Field", "severity"): "see [Severities](#severities)",
    ("Ruled", "exceptions"): "conditions under which another system owns it",
    ("OwnershipException", "owner"): "who owns the field where the condition holds",
    ("Severities", "required"): "of `required`", ("Severities", "unique"): "of `unique`",
    ("Severities", "of"): "of the codes of a choice", ("Severities", "pattern"): "of `pattern`",
    ("Severities", "range"): "of `min` and `max`", ("Severities", "ref"): "of references to nothing",
    ("Expectation", "expect"): "its name in Great Expectations",
    ("Expectation", "with"): "its arguments; the column is added from `field`",
    ("Expectation", "description"): "why it is expected; shown with the finding",
    ("Same", "same"): "fields whose comparable forms are all equal",
    ("Source", "extract"): "how it is delivered", ("Source", "fields"): "field: where its text comes from",
    ("Source", "changed_at_format"): "as a mapping's `format`",
    ("Source", "changed_at_zone"): "zone of times that name none",
    ("Extract", "delimiter"): "between cells; default: comma, for tsv a tab",
    ("Extract", "quote"): "around cells; empty: none",
    ("Extract", "escape"): "before a quote inside a cell; default: doubled quotes",
    ("Extract", "encoding"): "of text files",
    ("Extract", "mode"): "`snapshot`: what is missing is deleted; `changes`: only what changed; "
    "`events`: rows are only added",
    ("Extract", "limits"): "how much bad input is borne",
    ("Mapping", "from"): "a column, or a dotted path into a column of JSON",
    ("Mapping", "separator"): "between joined columns",
    ("Mapping", "constant"): "one value for all rows", ("Mapping", "decimal_mark"): "of numbers",
}  # fmt: skip
_SIMPLE = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "mapping",
}
_HEAD = """# Reference of the ownership document

<!-- Made from the models by `python -m sor_pipeline.dictionary.reference`: do not edit. -->

Every key there is. What the rules do is told in [Writing rules](rules.md); an editor completes and checks the document
with the JSON Schema that `sor schema` prints. A *name* is lower snake case, at most 40 characters, without double
underscores. A *duration* is written `90 days`, `6 hours`, `week`; a month is 30 days, a year 365.
A key with **no default** must be there.
"""


def reference() -> str:
    """The whole page."""
    schema = json_schema()
    parts = [_HEAD]
    for model, title, where in SECTIONS:
        parts.append(f"\n## {title}\n\n{where}\n\n| key | form | default | meaning |\n|---|---|---|---|\n")
        parts += [_row(model, name, schema) for name in model.model_fields]
    parts.append("\n## Types\n\n| type | stored as | what its values are |\n|---|---|---|\n")
    parts += [f"| `{kind.name}` | {kind.stored.value} | {kind.meaning} |\n" for kind in CATALOGUE.values()]
    return "".join(parts)


def missing() -> list[str]:
    """Keys of which nothing says what they mean."""
    return [f"{model.__name__}.{key}" for model, _, _ in SECTIONS for key in _keys(model) if not _meaning(model, key)]


def _keys(model: type[Noun]) -> dict[str, str]:
    """Key as written -> attribute."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _meaning(model: type[Noun], key: str) -> str:
    described = model.model_fields[_keys(model)[key]].description
    own = [_MEANINGS.get((kind.__name__, key)) for kind in model.__mro__]
    return described or next(filter(None, own), "") or _OF_ALL.get(key, "")


def _row(model: type[Noun], attribute: str, schema: dict[str, Any]) -> str:
    field = model.model_fields[attribute]
    key = field.alias or attribute
    definition = schema if model is Ownership else schema["$defs"][model.__name__]
    spec = definition["properties"][key]
    form = "duration" if "timedelta" in str(field.annotation) else _form(spec, schema)
    default = "**no default**" if field.is_required() else _default(field.get_default(call_default_factory=True))
    return f"| `{key}` | {_cell(form)} | {default} | {_cell(_meaning(model, key))} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _default(value: Any) -> str:
    if value is None or value in ("", (), {}) or isinstance(value, Noun):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{getattr(value, 'value', value)}`"


def _form(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    """The value's form in words."""
    if "$ref" in spec:
        return _named(spec["$ref"].rsplit("/", 1)[-1], schema)
    for several in ("anyOf", "oneOf"):
        if several in spec:
            forms = [_form(one, schema) for one in spec[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(forms))
    if "enum" in spec:
        if set(spec["enum"]) == CATALOGUE.keys():
            return "[a type](#types)"
        return ", ".join(f"`{one}`" for one in spec["enum"])
    kind = spec.get("type")
    if isinstance(kind, list):
        return "text"
    if kind == "array":
        return f"list of {_form(spec.get('items', {}), schema)}"
    if kind == "object":
        return _mapping(spec, schema)
    if kind == "string":
        return {NAME_PATTERN: "name", SOURCE_PATTERN: "`system.stream`"}.get(spec.get("pattern", ""), "text")
    return _SIMPLE.get(str(kind), "anything") + _bounds(spec)


def _mapping(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    patterns = spec.get("patternProperties", {})
    below = next(iter(patterns.values()), spec.get("additionalProperties"))
    key = {NAME_PATTERN: "name", SOURCE_PATTERN: "`system.stream`"}.get(next(iter(patterns), ""), "text")
    return f"{key}: {_form(below, schema)}" if isinstance(below, dict) and below else "mapping"


def _named(name: str, schema: dict[str, Any]) -> str:
    definition = schema["$defs"][name]
    if "properties" not in definition:
        return _form(definition, schema)
    title = next((title for model, title, _ in SECTIONS if model.__name__ == name), "")
    anchor = "".join(letter for letter in title.lower() if letter.isalnum() or letter == " ").replace(" ", "-")
    return f"[{title[0].lower()}{title[1:]}](#{anchor})" if title else name


def _bounds(spec: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    said = [f"{word} {spec[key]:g}" for key, word in words.items() if key in spec]
    return f" {' '.join(said)}" if said else ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
