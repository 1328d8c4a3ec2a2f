"""The rules of a field in words.

Belongs here: sentences about types, rules, checks, mappings. Does not: the pages that they stand on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sor_pipeline.dictionary.html import Html, bullets, code, joined, link, text
from sor_pipeline.dictionary.roles import Roles
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.entity import Field, Severity
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.ownership.rules import Blank
from sor_pipeline.ownership.source import Mapping

_UNITS = (("year", 31536000), ("month", 2592000), ("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60))
_CONSEQUENCE = {
    Severity.warn: "else it is reported",
    Severity.hold: "else the last good value stays",
    Severity.block: "else nothing is published",
}
_TAKES = {
    "latest": "the one that changed last", "earliest": "the one that changed first",
    "most_common": "the most common one",
    "longest": "the longest", "max": "the largest", "min": "the smallest", "all": "all of them, as a list",
}  # fmt: skip
UP = "../"
"""From a page about an entity or a system to the site's root."""


def duration(span: timedelta) -> str:
    """`2 weeks`, `day`, as one writes it in the document."""
    seconds = int(span.total_seconds())
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds % size == 0), ("minute", 60))
    count = max(1, round(seconds / size))
    return f"{count} {unit}s" if count > 1 else unit


def system(name: str, up: str = UP) -> Html:
    return link(f"{up}systems/{name}.html", name)


def systems(names: tuple[str, ...], up: str = UP) -> Html:
    return joined(system(name, up) for name in names)


def source(name: str, up: str = UP) -> Html:
    return link(f"{up}systems/{system_of(name)}.html#{anchor(name)}", name)


def anchor(source_name: str) -> str:
    return source_name.replace(".", "--")


def entity(name: str, up: str = UP) -> Html:
    return link(f"{up}entities/{name}.html", name)


def kind(field: Field) -> Html:
    """`phone`, `list of text`, `reference to account`."""
    if field.to:
        return Html(f"reference to {entity(field.to)}")
    if isinstance(field.of, str):
        return text(f"{field.type} of {field.of}")
    return text(field.type)


def meaning_of_type(field: Field) -> Html:
    """The type, what is stored, and what narrows it."""
    parts: list[object] = [field.kind.meaning]
    if isinstance(field.of, tuple):
        parts = [Html(f"one of {joined(map(code, field.of))}")]
    if field.type == "decimal":
        parts = [f"exact decimal with {field.scale} digits after the point"]
    if field.region:
        parts.append(f"{field.region} assumed where no country is written")
    if field.tolerance:
        parts.append(f"numbers at most {field.tolerance:g} apart do not conflict")
    return Html(f"{kind(field)}: {joined(parts, '; ')}")


def by_whom(roles: Roles, up: str = UP) -> Html:
    """The rule in a few words, for a table: the owner, or how a value is taken."""
    if roles.summary:
        return text(roles.summary.words)
    if roles.rule.owner is None:
        return Html(f"takes {text(roles.rule.take)} of {systems(roles.rule.among, up)}")
    others = tuple(name for name in roles.masters if name != roles.rule.owner)
    return Html(f"{system(roles.rule.owner, up)}{f', by exception {systems(others, up)}' if others else ''}")


def decides(ownership: Ownership, entity_name: str, field: Field, roles: Roles) -> Html:
    """Who decides, in the order in which the rules speak."""
    rule = roles.rule
    if roles.summary:
        return Html(f"No system says it: it is counted from rows that refer here, {text(roles.summary.words)}.")
    if rule.owner is None:
        taken = f"Nobody masters it: of the values in {systems(rule.among)}, {_TAKES[str(rule.take)]}."
        return Html(taken)
    steps = [
        Html(f"Where {code(exception.when)} holds: {system(exception.owner)}. Reason: {text(exception.reason)}")
        for exception in rule.exceptions
    ]
    steps.append(Html(f"{'Else ' if steps else ''}{system(rule.owner)}, {_said_by(ownership, entity_name, field)}."))
    if rule.fallback:
        late = f", or where its value is older than {duration(rule.stale_after)}" if rule.stale_after else ""
        steps.append(Html(f"Where the owner never had a value{late}: {joined(map(system, rule.fallback), ', then ')}."))
    return steps[0] if len(steps) == 1 else bullets(steps)


def _said_by(ownership: Ownership, entity_name: str, field: Field) -> str:
    kind_of_thing = ownership.entities[entity_name]
    if field.owner:
        return "owner of this field"
    if field.group and kind_of_thing.groups[field.group].owner:
        return f"owner of the group {field.group}"
    return f"owner of {entity_name}"


def blanks(ownership: Ownership, field: Field) -> Html:
    """What a blank and a placeholder mean."""
    blank = "A blank leaves the value as it was." if field.blank is Blank.ignored else ""
    empty = (*field.placeholders, *ownership.placeholders.get(field.type, ()))
    listed = f"Counts as never set: {joined(map(code, dict.fromkeys(empty)))}" if empty else ""
    return Html(" ".join(part for part in (blank, listed) if part))


def checks(field: Field) -> Html:
    """What is expected of the published values, and what happens otherwise."""
    return bullets(Html(f"{said}: {_CONSEQUENCE[severity]}") for said, severity in _expected(field))


def _expected(field: Field) -> Iterator[tuple[Html, Severity]]:
    if field.required:
        yield text("is there"), field.severity.required
    if field.unique:
        yield text("is unique"), field.severity.unique
    if isinstance(field.of, tuple):
        yield text("is one of the codes"), field.severity.of
    if field.pattern:
        yield Html(f"matches {code(field.pattern)}"), field.severity.pattern
    if field.min is not None or field.max is not None:
        bounds = [f"at least {field.min:,g}" if field.min is not None else ""]
        bounds += [f"at most {field.max:,g}" if field.max is not None else ""]
        yield text(f"is {' and '.join(filter(None, bounds))}"), field.severity.range
    if field.to:
        yield text(f"refers to a living {field.to}"), field.severity.ref


def origin(mapping: Mapping) -> Html:
    """The column, columns or constant that a mapping reads."""
    if mapping.constant is not None:
        return Html(f"the constant {code(mapping.constant)}")
    between = f" (with {code(mapping.separator)} between them)" if mapping.separator.strip() and mapping.join else ""
    return Html(joined(map(code, mapping.columns), " + ") + between)


def reading(mapping: Mapping) -> Html:
    """How the text is read, where that is not plain."""
    said: list[Html] = []
    if mapping.codes:
        pairs = (Html(f"{code(theirs)} → {code(ours)}") for theirs, ours in mapping.codes.items())
        said.append(Html(f"codes {joined(pairs)}"))
    if mapping.format:
        said.append(Html(f"written as {code(mapping.format)}"))
    if mapping.zone != "UTC":
        said.append(text(f"times of {mapping.zone}"))
    if mapping.decimal_mark != ".":
        said.append(text("decimal comma"))
    if mapping.scale_by is not None:
        said.append(text(f"times {mapping.scale_by:g}"))
    for texts, word in ((mapping.true_texts, "true"), (mapping.false_texts, "false")):
        if texts:
            said.append(Html(f"{joined(map(code, texts))} = {word}"))
    if mapping.separator_in is not None:
        said.append(Html(f"items separated by {code(mapping.separator_in)}"))
    if mapping.refers_to:
        said.append(Html(f"key of {source(mapping.refers_to)}"))
    return joined(said, "; ")


def not_written(field: Field, mapping: Mapping) -> str:
    """Why no correction is written although the source accepts one; empty where one is."""
    return inverts(field, mapping) or ""
