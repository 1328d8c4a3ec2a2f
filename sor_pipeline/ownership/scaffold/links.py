"""Which columns hold another record's key: references to other entities, and links between records of one.

Belongs here: names of columns against keys of streams. Does not: equal e-mails (`assemble` names those rules).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sor_pipeline.ownership.scaffold.keys import Key
from sor_pipeline.ownership.scaffold.names import bare, singular, stream_words
from sor_pipeline.ownership.scaffold.sample import Column, Stream
from sor_pipeline.ownership.scaffold.words import ABOVE, CRM, ENTITIES, HR

_KNOWN = ("contact", "account", "deal", "employee")


@dataclass(frozen=True)
class Place:
    """A stream with what was guessed of it so far."""

    stream: Stream
    entity: str
    key: Key


@dataclass(frozen=True)
class Link:
    """A column whose texts are keys of `target`; `same`: of the same thing, told by another source."""

    column: str
    target: str
    entity: str
    same: bool
    why: str
    certain: bool = True


def links_of(places: Sequence[Place]) -> dict[str, tuple[Link, ...]]:
    """Per source name, the columns that hold keys of others."""
    named = {place.stream.name: place for place in places}
    holders: dict[str, set[str]] = defaultdict(set)
    for name, place in named.items():
        if len(place.key.columns) == 1 and place.key.unique and not _mailboxes(place):
            for text in place.stream.column(place.key.columns[0]).texts:
                holders[text].add(name)
    return {name: tuple(_links(place, named, holders)) for name, place in named.items()}


def same_thing(place: Place, links: Sequence[Link]) -> Link | None:
    """The link by which a stream of unknown things tells of known ones: a key of theirs in each row, none twice."""
    for link in links:
        column = place.stream.column(link.column)
        if link.entity in _KNOWN and column.unique and column.rows >= 5 and link.certain:
            return link
    return None


def _mailboxes(place: Place) -> bool:
    """An e-mail is matched as a field, not followed as a key."""
    texts = place.stream.column(place.key.columns[0]).texts
    return bool(texts) and all("@" in text for text in texts)


def _links(place: Place, named: Mapping[str, Place], holders: Mapping[str, set[str]]) -> list[Link]:
    found = []
    for column in place.stream.columns:
        if column.texts and place.key.columns != (column.name,) and len(column.name) <= 200:
            link = _best(place, column, named, holders)
            found += [link] if link else []
    return found


def _best(place: Place, column: Column, named: Mapping[str, Place], holders: Mapping[str, set[str]]) -> Link | None:
    hits = Counter(name for text in column.texts for name in holders.get(text, ()))
    ranked = []
    for name, count in hits.items():
        share, mentioned = count / len(column.texts), _mentions(column, named[name])
        mentioned = mentioned or (name == place.stream.name and bool(ABOVE & set(bare(column.name).split("_"))))
        if (mentioned and share >= 0.5) or (share >= 0.9 and count >= 3 and _specific(column.texts)):
            near = name == place.stream.name or named[name].stream.system == place.stream.system
            ranked.append((mentioned, round(share, 1), near, name == place.stream.name, name))
    if ranked:
        best = max(ranked, key=lambda rank: (rank[:4], [-ord(letter) for letter in rank[4]]))[4]
        return _link(place, column, named[best], f"{hits[best]:,} of {len(column.texts):,} texts are keys of {best}")
    return _by_name(place, column, named)


def _link(place: Place, column: Column, target: Place, why: str) -> Link:
    alone = column.filled == column.distinct
    same = target.entity == place.entity and target.stream.name != place.stream.name and alone
    return Link(column.name, target.stream.name, target.entity, same, why)


def _by_name(place: Place, column: Column, named: Mapping[str, Place]) -> Link | None:
    """`account_id` where the system has one stream of accounts: accepted though no key was seen."""
    name = bare(column.name)
    base = name.removesuffix("_id")
    if base == name:
        return None
    own = [other for other in named.values() if other.stream.system == place.stream.system and other is not place]
    fits = [
        o for o in own if base == "_".join(stream_words(o.stream.stream, o.stream.system)) and len(o.key.columns) == 1
    ]
    fits = fits or [o for o in own if ENTITIES.get(base) == o.entity and base == o.entity and len(o.key.columns) == 1]
    if len(fits) != 1 or fits[0].entity == place.entity:
        return None
    return Link(
        column.name,
        fits[0].stream.name,
        fits[0].entity,
        False,
        "by its name only: no text was seen among its keys",
        False,
    )


def _mentions(column: Column, target: Place) -> bool:
    """Whether the column's name speaks of the target: its entity, what its system calls it, or the system."""
    name = bare(column.name)
    words = {singular(word) for word in name.split("_")} | set(name.split("_"))
    aliases = {alias for alias, entity in ENTITIES.items() if entity == target.entity}
    own = {target.entity, "_".join(stream_words(target.stream.stream, target.stream.system)), *aliases}
    system = target.stream.system
    kinds = {"crm"} if system in CRM else {"hr"} if system in HR else set()
    return bool(words & own) or any(word in name for word in own if len(word) > 5) or bool(words & {system, *kinds})


def _specific(texts: Sequence[str]) -> bool:
    """Long enough not to be equal by chance, as small running numbers are."""
    return sum(len(text) for text in texts) >= 5 * len(texts) and not all(text.isalpha() for text in texts)
