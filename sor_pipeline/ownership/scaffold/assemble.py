"""From streams to a whole document: who feeds what, which column is which field, who owns it.

Belongs here: the order of the guesses. Does not: each guess (`names`, `keys`, `kinds`, `links`, `fields`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sor_pipeline.ownership.scaffold import fields
from sor_pipeline.ownership.scaffold.guesses import EntityGuess, Guesses, SourceGuess
from sor_pipeline.ownership.scaffold.keys import change_of, deletion_of, delivery_of, key_of
from sor_pipeline.ownership.scaffold.links import Place, links_of
from sor_pipeline.ownership.scaffold.names import allowed_entity, bare, entity_of
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
    places = []
    for stream in streams:
        entity = allowed_entity(told[stream.name][0], names)
        places.append(Place(stream, entity, key_of(stream, entity)))
    links = links_of(places)
    found = {}
    for place in places:
        stream = place.stream
        change, deletion = change_of(stream, place.key, reads), deletion_of(stream, place.key)
        delivery = delivery_of(stream, place.entity, place.key, change, deletion)
        deletion = deletion if delivery.mode is Mode.changes else None
        why = told[stream.name][1]
        found[stream.name] = SourceGuess(stream, place.entity, why, place.key, change, deletion, delivery, links[stream.name])
    return found


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
    most = f"{columns[best]} columns, {', '.join(f'{name} {columns[name]}' for name in sorted(columns) if name != best)}"
    return best, f"its trade, and {most}" if best in first else most


def _same(entity: str, fed: dict[str, SourceGuess], found: dict[str, fields.FieldGuess]) -> list[tuple[str, str]]:
    name = _MATCHED.get(entity, "")
    if name not in found or found[name].kind.type != name:
        return []
    mapping = sum(name in source.fields for source in fed.values())
    return [(name, f"{mapping} of {len(fed)} sources have it")]


def _linked(fed: dict[str, SourceGuess]) -> list[tuple[str, str, str]]:
    return [(f"{name}.{link.column}", link.target, link.why) for name, source in fed.items() for link in source.links if link.same]
