"""Whether corrections can be written where the document says so.

Belongs here: `accepts` and `reflect_in`. Does not: `take` fields that are written back (`ruling`).
"""

from __future__ import annotations

from sor_pipeline.ownership.document import Rule, system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.loaders import ANY
from sor_pipeline.ownership.matching import Linked
from sor_pipeline.ownership.source import Mapping, Source


def check_writing(book: Notebook) -> None:
    """accepts-unmapped, -key, -shared, -own, lossy-mapping, code-for-none, reflect-not-accepted, reflect-speaks."""
    for path, name, source in book.sources():
        entity = book.ownership.entities.get(source.entity)
        for position, field in enumerate(source.accepts):
            if entity and field in entity.fields and field not in source.accepts[:position]:
                _accepted(book, (*path, "accepts", position), name, source, field, entity.fields[field])
    for path, entity_name, field, declared in book.fields():
        for position, system in enumerate(declared.reflect_in):
            if system in book.ownership.systems:
                _reflected(book, (*path, "reflect_in", position), entity_name, field, system)


def _accepted(book: Notebook, path: Path, name: str, source: Source, field: str, declared: Field) -> None:
    mapping = source.fields.get(field)
    if mapping is None and not book.gaps.settled(("sources", name, "fields"), field):
        return
    if mapping is None:
        what = f"`{name}` accepts `{field}`, but maps no column to it"
        todo = f"add `{field}: <column>` to its `fields`, or remove it from `accepts`"
        book.error("accepts-unmapped", path, what, "no mapping", f"a column for `{field}`", todo)
        return
    of_entity = ("entities", source.entity, "fields", field)
    if not (book.gaps.whole("sources", name, "fields", field) and book.gaps.whole(*of_entity)):
        return
    _column(book, path, name, source, field, mapping)
    reason = inverts(declared, mapping)
    if reason:
        what = f"`{field}` cannot be written back to `{name}`: the mapping loses information"
        todo = "map it to a column of its own, or remove it from `accepts`"
        book.error("lossy-mapping", path, what, reason, "a mapping that can be inverted", todo)
    if mapping.codes and isinstance(declared.of, tuple):
        missing = [code for code in declared.of if code not in mapping.codes.values()]
        if missing:
            what = f"`{name}` has no code for some values of `{field}`: these are never written to it"
            book.warn(
                "code-for-none",
                path,
                what,
                ", ".join(missing)[:60],
                "a code for each",
                "add it to `codes` if there is one",
            )
    rule = book.ownership.rule_of(source.entity, field)
    certain = book.decided_as_written(source.entity, field)
    if rule.owner == system_of(name) and not _others_may_own(rule) and certain:
        what = f"`{name}` accepts `{field}`, which only its own system decides: no rule ever corrects it"
        book.warn("accepts-own", path, what, f"owner `{rule.owner}`", "another system", "remove it from `accepts`")


def _may_say_deleted(mapping: Mapping, deletions: tuple[str, ...]) -> bool:
    """Whether a text that is written back may be one that means deleted; free text may be any."""
    if ANY in deletions:
        return True
    if mapping.codes:
        first = {ours: theirs for theirs, ours in reversed(mapping.codes.items())}
        return bool(set(first.values()) & set(deletions))
    if mapping.true_texts and mapping.false_texts:
        return bool({mapping.true_texts[0], mapping.false_texts[0]} & set(deletions))
    return bool(deletions)


def _column(book: Notebook, path: Path, name: str, source: Source, field: str, mapping: Mapping) -> None:
    """A correction changes one field, and neither which record it is nor whether the record counts."""
    entity = book.ownership.entities[source.entity]
    links = {holder for rule in entity.match if isinstance(rule, Linked) for holder in rule.linked}
    for column in mapping.columns:
        steers = {*source.key, *source.only, source.changed_at}
        if _may_say_deleted(mapping, source.extract.deleted.get(column, ())):
            steers.add(column)
        if column in steers or f"{name}.{column}" in links:
            what = f"`{name}` accepts `{field}`, whose column says which record a row is, or whether it counts"
            todo = f"remove `{field}` from `accepts`"
            book.error("accepts-key", path, what, f"`{column}`", "a column with a value only", todo)
        for other in source.accepts[: source.accepts.index(field)]:
            if other != field and other in source.fields and column in source.fields[other].columns:
                what = f"`{name}` accepts `{field}` and `{other}`, which are one column: corrections would take turns"
                book.error(
                    "accepts-shared",
                    path,
                    what,
                    f"`{column}`",
                    "a column for each",
                    "remove one of them from `accepts`",
                )


def _others_may_own(rule: Rule) -> bool:
    return bool(rule.fallback) or any(exception.owner != rule.owner for exception in rule.exceptions)


def _reflected(book: Notebook, path: Path, entity: str, field: str, system: str) -> None:
    """Who shows a field can be written to, and never speaks for it: else our own writing would become a word."""
    sources = {name: spec for name, spec in book.ownership.sources_of(entity).items() if system_of(name) == system}
    rule = book.ownership.rule_of(entity, field)
    settled = book.sources_settled() and book.mapped_as_written(entity, [field])
    if not settled or not book.decided_as_written(entity, field):
        return
    if rule.owner == system:
        what = f"`{system}` owns `{field}` and shows it anyway"
        book.warn("setting-without-effect", path, what, f"`{system}`", "other systems", "remove it from `reflect_in`")
        return
    if not any(field in spec.accepts for spec in sources.values()):
        what = f"`{system}` is to show `{field}`, but no column of its sources can be written for it"
        found = ", ".join(sources) or f"no source of `{entity}` in `{system}`"
        todo = f"map a column of its own to `{field}` in a source of `{system}`, or remove it from `reflect_in`"
        book.error("reflect-not-accepted", path, what, found, f"a column for `{field}` that can be written", todo)
    speaks = [
        word
        for word, systems in (
            ("fallback", rule.fallback),
            ("exceptions", tuple(exception.owner for exception in rule.exceptions)),
            ("among", rule.among),
        )
        if system in systems
    ]
    if speaks:
        what = f"`{system}` shows `{field}` read-only, and is asked for it: our own writing would be its word"
        todo = f"remove `{system}` from `{speaks[0]}`, or from `reflect_in` and name the field in its `accepts`"
        book.error("reflect-speaks", path, what, f"`{system}` in `{speaks[0]}`", "systems that only show it", todo)
