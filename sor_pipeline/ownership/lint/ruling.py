"""Rules that contradict each other, can never speak, or ask a system that has nothing to say.

Belongs here: owner, fallback, exceptions, groups, take. Does not: the conditions' own text (`conditions`).
"""

from __future__ import annotations

from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.rules import Ruled, Take

_RULE_WORDS = ("owner", "fallback", "exceptions", "stale_after")


def check_ruling(book: Notebook) -> None:
    """two-owners, owner-maps-nothing, owner-without-source, unmapped-field, fallback-names-owner, take-*."""
    for path, entity, name, declared in book.fields():
        _one_rule(book, path, entity, declared)
        _someone_speaks(book, path, entity, name, declared)
        _holds_all(book, path, declared)
        _written_back(book, entity, name, declared)
    for path, entity, spec in book.entities():
        decides = any(
            book.ownership.rule_of(entity, name).owner == spec.owner
            for name in spec.fields
            if book.decided_as_written(entity, name)
        )
        known = spec.owner in book.ownership.systems and book.clear(entity)
        if known and decides and not book.feeds(spec.owner, entity):
            _no_source(book, (*path, "owner"), spec.owner, entity)
    for path, entity, names, words in book.ruled():
        _named_systems(book, path, entity, names, words)
        _fallback(book, path, entity, words)


def _one_rule(book: Notebook, path: Path, entity: str, declared: Field) -> None:
    said = [word for word in _RULE_WORDS if getattr(declared, word)]
    group = declared.group if declared.group in book.ownership.entities[entity].groups else None
    if group and (said or declared.take):
        word = said[0] if said else "take"
        what = f"`{path[-1]}` is taken in lock-step with the group `{group}`, and has a rule of its own"
        todo = f"move `{word}` to the group, or take the field out of it"
        book.error("two-owners", (*path, word), what, f"`{word}` at the field", f"the rule of `{group}`", todo)
    elif declared.take and said:
        what = "`take` is for fields that nobody masters"
        book.error(
            "two-owners", (*path, said[0]), what, f"`take` and `{said[0]}`", "one of the two", "remove one of them"
        )


def _someone_speaks(book: Notebook, path: Path, entity: str, name: str, declared: Field) -> None:
    """The field is mapped by somebody, and by its owner."""
    if declared.summary or not book.clear(entity) or not book.mapped_as_written(entity, [name]):
        return
    mapping = book.ownership.mapping_systems(entity, name)
    if not mapping:
        todo = "map a column to it in a source, or remove it"
        book.warn("unmapped-field", path, f"no source maps a column to `{name}`", "no mapping", "at least one", todo)
        return
    rule = book.ownership.rule_of(entity, name)
    if (
        rule.owner
        and rule.owner in book.ownership.systems
        and rule.owner not in mapping
        and book.decided_as_written(entity, name)
        and book.feeds(rule.owner, entity)
    ):
        where = (*path, "owner") if declared.owner else path
        _maps_nothing(book, where, rule.owner, name, mapping)


def _maps_nothing(book: Notebook, path: Path, system: str, field: str, mapping: tuple[str, ...]) -> None:
    what = f"`{system}` decides `{field}`, but none of its sources maps a column to it"
    todo = f"map a column to `{field}` in a source of `{system}`, or name a system that has it"
    book.error("owner-maps-nothing", path, what, f"mapped by {', '.join(mapping)}", f"mapped by `{system}`", todo)


def _no_source(book: Notebook, path: Path, system: str, entity: str) -> None:
    what = f"`{system}` decides here, but has no source of `{entity}`"
    todo = f"add a source of `{system}` with `entity: {entity}`, or name a system that has one"
    found = f"sources of {', '.join(book.ownership.systems_of(entity))}"
    book.error("owner-without-source", path, what, found, f"a source `{system}.<stream>`", todo)


def _named_systems(book: Notebook, path: Path, entity: str, names: tuple[str, ...], words: Ruled) -> None:
    """Every system that a rule names can speak: it has a source of the entity, and maps the field."""
    if not book.clear(entity):
        return
    others = [((*path, "fallback", position), system) for position, system in enumerate(words.fallback)]
    others += [((*path, "exceptions", i, "owner"), exception.owner) for i, exception in enumerate(words.exceptions)]
    if isinstance(words, Field):
        others += [((*path, "among", position), system) for position, system in enumerate(words.among)]
    owner = [((*path, "owner"), words.owner)] if words.owner else []
    for where, system in owner + others:
        if system in book.ownership.systems and not book.feeds(system, entity):
            _no_source(book, where, system, entity)
    if not book.mapped_as_written(entity, names) or not _members_known(book, path):
        return
    mapping = {system for name in names for system in book.ownership.mapping_systems(entity, name)}
    for where, system in others:
        if mapping and system not in mapping and book.feeds(system, entity):
            _maps_nothing(book, where, system, names[0], tuple(sorted(mapping)))


def _members_known(book: Notebook, path: Path) -> bool:
    """Whether it is certain which fields the rule at `path` is for."""
    return path[2] != "groups" or book.gaps.whole(*path[:2], "fields")


def _fallback(book: Notebook, path: Path, entity: str, words: Ruled) -> None:
    owner = words.owner or book.ownership.entities[entity].owner
    certain = bool(words.owner) or book.gaps.whole("entities", entity, "owner")
    if owner in words.fallback and not (isinstance(words, Field) and words.take) and certain:
        where = (*path, "fallback", words.fallback.index(owner))
        what = "the owner is its own fallback"
        book.error(
            "fallback-names-owner",
            where,
            what,
            f"`{owner}`",
            f"systems other than `{owner}`",
            "remove it from the list",
        )
    if words.stale_after and not words.fallback:
        what = "`stale_after` does nothing where no fallback is listed"
        book.warn(
            "setting-without-effect",
            (*path, "stale_after"),
            what,
            "no `fallback`",
            "a fallback",
            "list one, or remove it",
        )
    if isinstance(words, Field) and words.among and not words.take:
        what = "`among` does nothing without `take`"
        book.warn("setting-without-effect", (*path, "among"), what, "no `take`", "`take`", "add `take`, or remove it")


def _holds_all(book: Notebook, path: Path, declared: Field) -> None:
    """`take: all` gives a JSON array, which only a text column can hold."""
    if declared.take == Take.all and declared.kind.stored is not Stored.text:
        what = f"`{path[-1]}` takes all values, and has room for one"
        todo = f"write `type: list` and `of: {declared.type}`"
        book.error("take-all-type", (*path, "take"), what, f"type `{declared.type}`", "type `list` or `text`", todo)


def _written_back(book: Notebook, entity: str, name: str, declared: Field) -> None:
    """What is written into a system that `take` asks comes back as its word: a maximum could never fall again."""
    among = book.ownership.rule_of(entity, name).among
    for source, spec in book.ownership.sources_of(entity).items():
        if name in spec.accepts and system_of(source) in among:
            taken = "all values" if declared.take == Take.all else f"the {declared.take} value"
            what = f"`{name}` takes {taken}, and `{source}`, which it asks, is written to: our own writing becomes news"
            todo = f"give the field an owner, remove it from `accepts`, or ask others than `{system_of(source)}`"
            where = ("sources", source, "accepts", spec.accepts.index(name))
            if book.gaps.whole("entities", entity, "fields", name):
                book.error("take-written-back", where, what, f"`{name}` in `accepts`", "written elsewhere only", todo)
