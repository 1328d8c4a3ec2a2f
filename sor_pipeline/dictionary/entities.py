"""A page per entity: every field with owner, meaning, type, rules, where it comes from and where it goes.

Belongs here: the page's order. Does not: the wording of a rule (`wording`).
"""

from __future__ import annotations

from collections.abc import Iterator

from sor_pipeline.dictionary import wording
from sor_pipeline.dictionary.html import Html, block, bullets, code, element, facts, joined, link, table, text
from sor_pipeline.dictionary.picture import Arrow, picture
from sor_pipeline.dictionary.roles import Book, Roles
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Entity, Expectation, Field
from sor_pipeline.ownership.matching import Linked, Match, Same


def entity_page(book: Book, name: str, shown: list[Arrow]) -> str:
    """The page of one entity; `shown` are the arrows of the whole picture that end or begin at it."""
    spec = book.ownership.entities[name]
    parts = [f"# {name}\n\n", block(element("p", spec.description)) if spec.description else "", _about(book, name)]
    parts.append(block(picture(book, shown, wording.UP)))
    parts.append("## Fields { #its-fields }\n\n" + block(_overview(book, name)))
    parts += [_field(book, name, field) for field in spec.fields]
    parts.append(_matching(spec))
    parts.append(_groups(book, name))
    expected = bullets(map(_expectation, spec.expectations))
    parts.append("## Further expectations { #its-expectations }\n\n" + block(expected) if expected else "")
    return "".join(parts)


def _about(book: Book, name: str) -> str:
    spec = book.ownership.entities[name]
    referring = [link(f"{entity}.html#{field}", f"{entity}.{field}") for entity, field in book.references[name]]
    return block(
        facts(
            [
                ("Also called", spec.title if spec.title != name else ""),
                ("Owner", Html(f"{wording.system(spec.owner)}, unless a field says otherwise")),
                ("Steward", spec.steward or ""),
                ("Fed by", joined(map(wording.source, book.ownership.sources_of(name)))),
                ("Published as", Html(f"{code(f'conformed.{name}')}, one row each, named by {code(f'{name}_id')}")),
                ("Referred to by", joined(referring)),
            ]
        )
    )


def _overview(book: Book, name: str) -> Html:
    spec = book.ownership.entities[name]
    rows = [
        (
            link(f"#{field}", field),
            wording.kind(declared),
            wording.by_whom(book.fields[name][field]),
            wording.systems(_delivering(book.fields[name][field])),
            wording.systems(book.fields[name][field].corrected),
        )
        for field, declared in spec.fields.items()
    ]
    return table(("Field", "Type", "Owner", "Delivered by", "Corrected in"), rows)


def _delivering(roles: Roles) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(system_of, roles.origins)))


def _field(book: Book, entity: str, name: str) -> str:
    declared, roles = book.ownership.entities[entity].fields[name], book.fields[entity][name]
    meaning = " ".join(filter(None, (declared.title and f"{declared.title}.", declared.description)))
    said = facts(
        [
            ("Type", wording.meaning_of_type(declared)),
            ("Personal", "its values stay out of messages, findings and reports" if declared.personal else ""),
            ("Group", link("#its-groups", declared.group) if declared.group else ""),
            ("Who decides", wording.decides(book.ownership, entity, declared, roles)),
            ("Blanks", wording.blanks(book.ownership, declared)),
            ("Expected", wording.checks(declared)),
            ("Comes from", _origins(roles)),
            ("Goes to", bullets(_targets(entity, name, declared, roles))),
        ]
    )
    intro = element("p", meaning) if meaning else ""
    return f"### `{name}` {{ #{name} }}\n\n{block(intro, said)}"


def _origins(roles: Roles) -> Html:
    said = [
        Html(f"{wording.source(source)}, {wording.origin(mapping)}{'; ' if read else ''}{read}")
        for source, mapping in roles.origins.items()
        for read in [wording.reading(mapping)]
    ]
    return bullets(said) or text("no source maps it")


def _targets(entity: str, name: str, declared: Field, roles: Roles) -> Iterator[Html]:
    yield Html(f"{code(f'conformed.{entity}.{name}')}, for everybody who reads")
    for source in roles.accepting:
        reason = wording.not_written(declared, roles.origins[source])
        unless = f", but nothing is ever written: {text(reason)}" if reason else ", corrected where it differs"
        yield Html(f"{wording.source(source)}, {wording.origin(roles.origins[source])}{unless}")
    for system in roles.reflected:
        yield Html(f"{wording.system(system)} shows it, read-only")


def _matching(spec: Entity) -> str:
    rules = bullets(map(_rule, spec.match))
    if not rules:
        return ""
    limits = f"At most {spec.max_size} records are one; a larger cluster becomes a case for the steward."
    intro = element("p", "Records are the same where one of these holds. A steward's decision goes before all of them.")
    return f"## When records are the same {{ #its-matching }}\n\n{block(intro, rules, element('p', limits))}"


def _rule(rule: Match) -> Html:
    if isinstance(rule, Linked):
        links = [f"{code(column)} holds the key of {wording.source(target)}" for column, target in rule.linked.items()]
        return Html(f"One stores the other's key: {joined(map(Html, links), '; ')}.")
    if isinstance(rule, Same):
        fields = joined((link(f"#{field}", field) for field in rule.same), " and ")
        return Html(f"Equal {fields}, unless more than {rule.max_records} records share the value.")
    compared = joined((name if parts is None else f"{name} ({', '.join(parts)})" for name, parts, _ in rule.items()))
    return Html(
        f"Probably the same by {compared}: linked from a probability of {rule.accept:g}, "
        f"a case for the steward from {rule.review:g}."
    )


def _groups(book: Book, entity: str) -> str:
    spec = book.ownership.entities[entity]
    rows = [
        (name, joined(link(f"#{field}", field) for field in fields), group.description or group.title)
        for name, group in spec.groups.items()
        for fields in [[field for field, declared in spec.fields.items() if declared.group == name]]
    ]
    if not rows:
        return ""
    intro = element("p", "The fields of a group are taken from one record together.")
    return "## Groups { #its-groups }\n\n" + block(intro, table(("Group", "Fields", "Why"), rows))


def _expectation(expectation: Expectation) -> Html:
    about = f"{text(expectation.description)} " if expectation.description else ""
    field = f" on {code(expectation.field)}" if expectation.field else ""
    arguments = joined(code(f"{key}: {value}") for key, value in expectation.arguments.items())
    return Html(f"{about}{code(expectation.expect)}{field} ({arguments}; severity {expectation.severity.value})")
