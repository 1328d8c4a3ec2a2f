"""From streams to a whole document: who feeds what, which column is which field, who owns it.

Belongs here: the order of the guesses. Does not: each guess (`names`, `keys`, `kinds`, `links`, `fields`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sor_pipeline.ownership.scaffold import fields
from sor_pipeline.ownership.scaffold.guesses import EntityGuess, FieldGuess, Guesses, SourceGuess
from sor_pipeline.ownership.scaffold.keys import change_of, deletion_of, delivery_of, key_of
from sor_pipeline.ownership.scaffold.links import Place, links_of, same_thing
from sor_pipeline.ownership.scaffold.names import BY_NAME, allowed_entity, bare, entity_of
from sor_pipeline.ownership.scaffold.sample import Reads, Stream
from sor_pipeline.ownership.scaffold.words import CRM, ENGAGEMENT, FIRST_OF
from sor_pipeline.ownership.source import Mode

_MATCHED = {"contact": "email", "account": "domain", "employee": "email"}
_OFTEN = ("hour", "day", "week", "month")


def guesses(streams: Sequence[Stream], reads: Reads) -> Guesses:
    """Everything that can be guessed of the streams, in the order of their names."""
    streams = sorted((stream for stream in streams if stream.columns), key=lambda stream: stream.name)
    sources = _sources(streams, reads)
    systems = {name: "engagement" if name in ENGAGEMENT else "record" for name in sorted({s.system for s in streams})}
    entities = {}
    for entity in sorted({source.entity for source in sources.values()}):
        fed = {name: source for name, source in sources.items() if source.entity == entity}
        entities[entity] = _entity(entity, fed, reads)
    rhythms = {source.delivery.every for source in sources.values()}
    return Guesses(systems, entities, sources, next((word for word in _OFTEN if word in rhythms), ""))


def _sources(streams: Sequence[Stream], reads: Reads) -> dict[str, SourceGuess]:
    told = {s.name: entity_of(s.stream, s.system, {bare(column.name) for column in s.columns}) for s in streams}
    names = {entity for entity, _ in told.values()}
    places = [_placed(stream, allowed_entity(told[stream.name][0], names)) for stream in streams]
    links = links_of(places)
    for number, place in enumerate(places):
        known = None if told[place.stream.name][1] != BY_NAME else same_thing(place, links[place.stream.name])
        if known:
            places[number] = replace(place, entity=known.entity)
            why = f"`{known.column}` is a key of {known.target} in every row, none twice"
            told[place.stream.name] = (known.entity, why)
    links = links_of(places)
    found = {}
    for place in places:
        stream = place.stream
        change, deletion = change_of(stream, place.key, reads), deletion_of(stream, place.key)
        delivery = delivery_of(stream, place.entity, place.key, change, deletion)
        deletion = deletion if delivery.mode is Mode.changes else None
        why = told[stream.name][1]
        linked = links[stream.name]
        found[stream.name] = SourceGuess(stream, place.entity, why, place.key, change, deletion, delivery, linked)
    return found


def _placed(stream: Stream, entity: str) -> Place:
    """The stream with its key; files without the key's columns are set aside."""
    key = key_of(stream, entity)
    whole = tuple(part for part in stream.parts if not part.rows or all(name in part.cells for name in key.columns))
    lacking = [part.file for part in stream.parts if part not in whole]
    unread = (*stream.unread, *((file, f"lacks the column of the key, {', '.join(key.columns)}") for file in lacking))
    return Place(replace(stream, parts=whole, unread=unread) if lacking else stream, entity, key)


def _entity(entity: str, fed: dict[str, SourceGuess], reads: Reads) -> EntityGuess:
    fields.map_columns(entity, fed, reads)
    found = fields.fields_of(entity, fed)
    owner, why = _owner(entity, fed)
    same, linked = _same(entity, fed, found), _linked(fed)
    for name, guess in found.items():
        filled = Counter[str]()
        for source in fed.values():
            if name in source.fields:
                filled[source.stream.system] += source.fields[name].column.filled
        systems = sorted(filled, key=lambda system: (-filled[system], system))
        if len(systems) > 1 and not (same or linked):
            guess.take = "latest"
            continue
        guess.owner = None if owner in filled else systems[0]
        guess.fallback = tuple(system for system in systems if system != (guess.owner or owner))
    return EntityGuess(owner, why, same, linked, found)


def _owner(entity: str, fed: dict[str, SourceGuess]) -> tuple[str, str]:
    columns = Counter[str]()
    for source in fed.values():
        columns[source.stream.system] += len(source.fields)
    first = FIRST_OF.get(entity, CRM)
    best = min(columns, key=lambda system: (system not in first, -columns[system], system))
    if len(columns) == 1:
        return best, "nobody else has it"
    others = [f"{name} {columns[name]}" for name in sorted(columns) if name != best]
    most = f"{columns[best]} columns, {', '.join(others)}"
    return best, f"its trade, and {most}" if best in first else most


def _same(entity: str, fed: dict[str, SourceGuess], found: dict[str, FieldGuess]) -> list[tuple[str, str]]:
    name = _MATCHED.get(entity, "")
    if name not in found or found[name].kind.type != name:
        return []
    mapping = sum(name in source.fields for source in fed.values())
    return [(name, f"{mapping} of {len(fed)} sources have it")]


def _linked(fed: dict[str, SourceGuess]) -> list[tuple[str, str, str]]:
    same = [(name, link) for name, source in fed.items() for link in source.links if link.same]
    return [(f"{name}.{link.column}", link.target, link.why) for name, link in same]
