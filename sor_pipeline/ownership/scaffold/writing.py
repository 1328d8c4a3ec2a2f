"""The draft as YAML with a comment behind every guess.

Belongs here: layout and wording. Does not: guesses, quoting (`quoting`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from sor_pipeline.ownership.scaffold.guesses import EntityGuess, FieldGuess, Guesses, MappingGuess, SourceGuess
from sor_pipeline.ownership.scaffold.keys import spelt
from sor_pipeline.ownership.scaffold.names import title
from sor_pipeline.ownership.scaffold.quoting import flow, remark, scalar

_HEAD = """\
# A draft of the ownership document, guessed from the headers and the first rows of each extract.
# Nothing here is decided: every guess says why behind its `#`. Read it from top to bottom, mend it, then `sor check`.
#
#   systems    the tools. `record` masters data, `engagement` is where interaction happens
#   entities   the things, field by field: the owner of each, what type it is, who is asked where the owner has nothing
#   sources    the extracts, and which column is which field
#
# The globs begin at the folder that was looked at: keep this document there, or set SOR_EXTRACTS to that folder.
"""
_WIDTH = 116
_COMMENT_AT = 62


def written(guesses: Guesses) -> str:
    """The document's text; the same guesses give the same bytes."""
    lines = [*_HEAD.splitlines(), *_remarks(guesses.remarks), ""]
    if guesses.every:
        lines += [_line(0, f"every: {guesses.every}", "how far apart the files are"), ""]
    lines += ["systems:"]
    for name, role in guesses.systems.items():
        lines.append(_line(2, f"{scalar(name)}: {flow({'title': title(name), 'role': role})}", _role(role)))
    lines += ["", "entities:"]
    for name, entity in guesses.entities.items():
        lines += ["", *_entity(name, entity)]
    lines += ["", "sources:"]
    for name, source in guesses.sources.items():
        lines += ["", *_source(name, source)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _remarks(remarks: Sequence[str]) -> list[str]:
    if not remarks:
        return []
    return ["#", "# Not taken up:", *(f"#   {remark(text)}" for text in remarks)]


def _role(role: str) -> str:
    return "known as a place of interaction" if role == "engagement" else "as most are: does it master what it says?"


def _line(indent: int, text: str, why: str = "") -> str:
    line = f"{' ' * indent}{text}"
    return f"{line.ljust(_COMMENT_AT)}  # {remark(why)}" if why else line


def _entity(name: str, entity: EntityGuess) -> Iterator[str]:
    yield f"  {scalar(name)}:"
    yield _line(4, f"owner: {scalar(entity.owner)}", entity.owner_why)
    if entity.same or entity.linked:
        yield "    match:"
        for column, target, why in entity.linked:
            yield _line(6, f"- linked: {flow({column: target})}", why)
        for field, why in entity.same:
            yield _line(6, f"- same: {flow([field])}", why)
    yield "    fields:"
    for field, guess in entity.fields.items():
        yield _line(6, f"{scalar(field)}: {flow(_declared(guess))}", _why_of(guess))


def _declared(guess: FieldGuess) -> dict[str, object]:
    kind = guess.kind
    said: dict[str, object] = {"type": kind.type}
    said |= {"to": guess.to} if guess.to and kind.type == "ref" else {}
    said |= {name: value for name in ("of", "region", "scale") if (value := getattr(kind, name)) is not None}
    said |= {"personal": True} if guess.personal else {}
    said |= {"owner": guess.owner} if guess.owner else {}
    said |= {"fallback": guess.fallback} if guess.fallback else {}
    return said | ({"take": guess.take} if guess.take else {})


def _why_of(guess: FieldGuess) -> str:
    owner = f"; only {'these have' if guess.fallback else 'this one has'} it" if guess.owner else ""
    return f"{guess.why}{owner}{'; nobody masters it' if guess.take else ''}"


def _source(name: str, source: SourceGuess) -> Iterator[str]:
    stream, key = source.stream, source.key
    yield f"  {scalar(name)}:"
    for line in (*stream.remarks, *(f"not readable: {file}: {why}" for file, why in stream.unread)):
        yield f"    # {remark(line)}"
    yield _line(4, f"entity: {scalar(source.entity)}", source.entity_why)
    yield "    extract:"
    if stream.table:
        yield _line(6, f"table: {scalar(stream.table)}", f"{stream.rows:,} rows looked at")
        yield f"      url: {scalar(stream.url)}"
    else:
        yield _line(6, f"files: {scalar(stream.glob)}", _files(source))
    for setting, value in stream.settings.items():
        yield _line(6, f"{setting}: {scalar(value) if isinstance(value, str) else value}", "as the files are written")
    yield _line(6, f"mode: {source.delivery.mode.value}", source.delivery.why)
    if source.delivery.cursor:
        yield _line(6, f"cursor: {scalar(source.delivery.cursor)}", "when the loader loaded the row")
    if source.delivery.every:
        yield _line(6, f"every: {source.delivery.every}", "how far apart the files are")
    if source.deletion:
        yield _line(6, f"deleted: {flow({source.deletion.column: source.deletion.texts})}", source.deletion.why)
    yield _line(4, f"key: {scalar(key.columns[0]) if len(key.columns) == 1 else flow(key.columns)}", key.why)
    if source.change:
        yield _line(4, f"changed_at: {scalar(source.change.column)}", source.change.why)
        if source.change.format:
            yield f"    changed_at_format: {scalar(source.change.format)}"
    yield from _fields(source)
    for why, names in source.left.items():
        if why not in ("the key", "the time of the change", "says what is deleted"):
            yield from _left(why, names)


def _files(source: SourceGuess) -> str:
    read, unread = len(source.stream.parts), len(source.stream.unread)
    return f"{read} file{'s' if read != 1 else ''} read{f', {unread} not' if unread else ''}"


def _fields(source: SourceGuess) -> Iterator[str]:
    if not source.fields:
        yield _line(4, "fields: {}", "no column is left to map")
        return
    yield "    fields:"
    for name, mapping in source.fields.items():
        yield _line(6, f"{scalar(name)}: {_mapping(mapping)}", _filled(mapping))


def _mapping(mapping: MappingGuess) -> str:
    column, said = mapping.column.name, spelt(mapping.kind)
    if mapping.link and mapping.kind.type == "ref":
        said["refers_to"] = mapping.link.target
    return flow({"from": column, **said}) if said else scalar(column)


def _filled(mapping: MappingGuess) -> str:
    form = f"; {mapping.kind_why}" if spelt(mapping.kind) else ""
    return f"{mapping.why}; filled in {mapping.column.filled:,} of {mapping.column.rows:,} rows{form}"


def _left(why: str, names: Sequence[str]) -> Iterator[str]:
    text = f"not mapped, {why}: {', '.join(' '.join(name.split()) for name in names)}"
    for line in textwrap.wrap(text, _WIDTH - 6, break_long_words=True):
        yield f"    # {remark(line)}"
