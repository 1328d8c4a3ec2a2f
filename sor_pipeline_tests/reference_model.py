"""The whole flow in plain Python, written from the rules (design, section 4) and not from the package's SQL.

A `Model` is told deliveries and runs; it keeps what each source ever said and makes everything else from that
again in each run: current records, who is the same, what holds, what disagrees, what to publish and to
correct. Only ids, publications and corrections are remembered. Slow, small, obvious.

Its worlds are simple on purpose: `same` and `linked` rules without distrusted values, a file per stream
and day, a handful of field types, no holds, no decisions by people.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.matching import Linked, Same
from sor_pipeline.ownership.source import Mode
from sor_pipeline_tests.reference import NEVER, Cell, Claim, Record, conflicts, resolve

Place = tuple[str, str]  # source, source key
OPEN = ("proposed", "delivered")
_NO_WORD, _REFUSED, _BLANK, _PLACEHOLDER = object(), object(), object(), object()
_READS = {
    "boolean": {"true": True, "false": False},
    "country": {"DE": "DE", "US": "US"},
}


@dataclass(frozen=True)
class Row:
    """One row of one delivery."""

    changed_at: datetime
    as_of: datetime
    cells: dict[str, str]


@dataclass
class Current:
    """The current record of one source key."""

    changed_at: datetime = datetime(1970, 1, 1)
    claims: dict[str, Claim] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    """Fields that ever had a value."""
    links: dict[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class Conflict:
    entity: str
    entity_id: str
    field: str
    source: str
    source_key: str
    opened_in: int
    kind: str
    owner: str | None
    claimed: str | None
    canonical: str | None
    closed_in: int | None = None


def read(kind: str, text: str) -> Any:
    """A cell's value, or what it is instead of one."""
    text = text.strip()
    if not text:
        return _BLANK
    if text.casefold() in ("n/a", "unknown"):
        return _PLACEHOLDER
    if kind == "email":
        return text.lower() if "@" in text else _REFUSED
    if kind == "integer":
        return int(text) if text.isdigit() else _REFUSED
    return _READS[kind].get(text, _REFUSED) if kind in _READS else text


def spelled(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def compare(kind: str, value: Any) -> Any:
    return value.casefold() if isinstance(value, str) and kind in ("name", "email", "text") else value


class Model:
    """One company's state. After `run`, what is published is in `cells`, `keys`, `conflicts`, `changes`, `corrections`."""

    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self.rows: dict[str, dict[str, list[Row]]] = {source: defaultdict(list) for source in ownership.sources}
        self.snapshots: dict[str, set[datetime]] = defaultdict(set)
        self.identity: dict[str, Registry] = {entity: Registry(entity) for entity in ownership.entities}
        self.publication = 0
        self.cells: dict[str, dict[str, dict[str, Cell]]] = {entity: {} for entity in ownership.entities}
        self.keys: dict[Place, str] = {}
        self.conflicts: list[Conflict] = []
        self.changes: list[tuple[Any, ...]] = []
        self.corrections: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._ever: set[tuple[str, str]] = set()
        self._before: dict[Place, Current] = {}
        """The current records of the last publication."""

    def deliver(self, source: str, as_of: datetime, rows: Iterable[dict[str, str]]) -> None:
        """One file; a snapshot may be one of nothing."""
        spec, rows = self.ownership.sources[source], list(rows)
        if spec.extract.mode is Mode.snapshot:
            self.snapshots[source].add(as_of)
        for cells in rows:
            changed = datetime.fromisoformat(cells[spec.changed_at]) if spec.changed_at else as_of
            self.rows[source][cells["id"]].append(Row(changed, as_of, cells))

    def run(self, now: datetime) -> None:
        """One pass over everything."""
        current = {(s, key): self._current(s, rows) for s, keys in self.rows.items() for key, rows in keys.items()}
        same = {place for place, one in current.items() if self._before.get(place) == one}
        for entity, registry in self.identity.items():
            registry.assign(self._clusters(entity, current), self.publication + 1, same)
        number = self.publication
        self._publish(current, now)
        if self.publication > number:  # a change waits for its publication, however many runs that takes
            self._before = current
        self._correct(current)

    # stage

    def _current(self, source: str, rows: list[Row]) -> Current:
        """The fold of all that was observed of one key, in (changed_at, as_of) order; a repetition is no news."""
        spec = self.ownership.sources[source]
        fields = self.ownership.entities[spec.entity].fields
        record, before = Current(), None
        for row in sorted(rows, key=lambda one: (one.changed_at, one.as_of)):
            if row.cells == before:
                continue
            before = row.cells
            gone = any(row.cells[name] in texts for name, texts in spec.extract.deleted.items())
            record.changed_at, record.deleted, record.refused = row.changed_at, gone, set()
            record.links = {name: row.cells[name] for name in self._link_columns(source)}
            for name, mapping in spec.fields.items():
                text = row.cells[mapping.columns[0]]
                said = read(fields[name].type, text)
                if said is _BLANK and gone:
                    continue  # a row that only says that its record is gone clears nothing
                record.raw[name] = text
                if said is _REFUSED:
                    record.refused.add(name)  # leaves the claim as it was
                    continue
                before_it, held = record.claims.get(name), name in record.held
                claim = self._claim(fields[name].type, before_it, held, said, row.changed_at)
                record.claims[name] = claim
                record.held |= {name} if claim[0] == "value" else set()
        last = max(row.as_of for row in rows)
        record.deleted |= any(snapshot > last for snapshot in self.snapshots[source])
        return record

    def _link_columns(self, source: str) -> list[str]:
        rules = [
            rule for entity in self.ownership.entities.values() for rule in entity.match if isinstance(rule, Linked)
        ]
        return [
            holder.removeprefix(f"{source}.")
            for rule in rules
            for holder in rule.linked
            if holder.startswith(f"{source}.")
        ]

    @staticmethod
    def _claim(kind: str, before: Claim | None, held: bool, said: Any, at: datetime) -> Claim:
        """value, never, cleared (ever had a value, now blank) or placeholder; `since` is when equal claims began."""
        blank = "cleared" if held else "never"
        state = blank if said is _BLANK else "placeholder" if said is _PLACEHOLDER else "value"
        value = said if state == "value" else None
        if before is not None and before[0] == state and compare(kind, before[1]) == compare(kind, value):
            at = before[2]
        return state, value, at

    # identify

    def _clusters(self, entity: str, current: dict[Place, Current]) -> list[set[Place]]:
        """Live records, joined by what they share."""
        live = sorted(p for p, one in current.items() if not one.deleted and self._entity(p) == entity)
        holders: dict[tuple[str, ...], list[Place]] = defaultdict(list)
        for place in live:
            for token in self._tokens(entity, place, current[place]):
                holders[token].append(place)
        cluster = {place: {place} for place in live}
        for together in holders.values():
            joined = set().union(*(cluster[place] for place in together))
            for place in joined:
                cluster[place] = joined
        return list({id(one): one for one in cluster.values()}.values())

    def _tokens(self, entity: str, place: Place, record: Current) -> Iterable[tuple[str, ...]]:
        for rule in self.ownership.entities[entity].match:
            if isinstance(rule, Same):
                claims = [record.claims.get(name, NEVER) for name in rule.same]
                if all(state == "value" for state, _, _ in claims):
                    yield "same", *rule.same, *(str(value).casefold() for _, value, _ in claims)
            elif isinstance(rule, Linked):
                for holder, target in rule.linked.items():
                    source, column = holder.rsplit(".", 1)
                    if place[0] == source and record.links[column]:
                        yield holder, record.links[column]
                    if place[0] == target:
                        yield holder, place[1]

    def _entity(self, place: Place) -> str:
        return self.ownership.sources[place[0]].entity

    # resolve

    def _records(self, entity: str, current: dict[Place, Current]) -> tuple[list[Record], dict[tuple[Place, str], str]]:
        """What each live record says, references as the ids that they lead to; and the references that lead nowhere."""
        found, dangling = [], {}
        for place, one in current.items():
            if one.deleted or self._entity(place) != entity:
                continue
            claims = dict(one.claims)
            for name, spec in self.ownership.entities[entity].fields.items():
                state, value, since = claims.get(name, NEVER)
                if spec.to is None or state != "value":
                    continue
                target = (str(self.ownership.referred_source(place[0], name)), value)
                if target in current and not current[target].deleted:
                    claims[name] = ("value", self.identity[spec.to].of[target], since)
                else:
                    claims[name] = ("never", None, since)
                    dangling[place, name] = value
            found.append(Record(*place, self.identity[entity].of[place], one.changed_at, claims))
        return found, dangling

    def _disagreements(
        self, entity: str, current: dict[Place, Current], cells: dict[str, dict[str, Cell]]
    ) -> set[Conflict]:
        """All that disagrees now; `opened_in` is 0."""
        records, dangling = self._records(entity, current)
        said = {(record.source, record.key): record for record in records}
        kinds = conflicts(self.ownership, entity, records, cells)
        found = {
            (p, name, kind): spelled(said[p].claim(name)[1]) for _, name, *p_, kind in kinds for p in [(p_[0], p_[1])]
        }
        found = {key: text for key, text in found.items() if (key[0], key[1]) not in dangling}
        found |= {(place, name, "dangling_reference"): text for (place, name), text in dangling.items()}
        answer = set()
        for (place, name, kind), claimed in found.items():
            cell, rule = cells[said[place].entity_id][name], self.ownership.rule_of(entity, name)
            ordinary = cell.system is None or cell.rule == "fallback"
            owner = rule.owner if ordinary and rule.owner else cell.system
            answer.add(
                Conflict(entity, said[place].entity_id, name, *place, 0, kind, owner, claimed, spelled(cell.value))
            )
        return answer

    # publish

    def _publish(self, current: dict[Place, Current], now: datetime) -> None:
        number = self.publication + 1
        cells, changes, disagreements = {}, [], set()
        for entity in self.ownership.entities:
            cells[entity] = resolve(self.ownership, entity, self._records(entity, current)[0], now)
            changes += self._changed(entity, number, cells[entity])
            disagreements |= self._disagreements(entity, current, cells[entity])
        keys = {
            place: self.identity[self._entity(place)].of[place] for place, one in current.items() if not one.deleted
        }
        episodes = self._episodes(disagreements, number)
        if (cells, keys, episodes) == (self.cells, self.keys, self.conflicts):
            return
        self.publication, self.cells, self.keys, self.conflicts = number, cells, keys, episodes
        self.changes += changes
        self._ever |= {(entity, one) for entity, rows in cells.items() for one in rows}

    def _changed(self, entity: str, number: int, after: dict[str, dict[str, Cell]]) -> list[tuple[Any, ...]]:
        """(publication, entity, id, field, kind, old, new, system)."""
        before, found = self.cells[entity], []
        for one in sorted(before.keys() | after.keys()):
            if one not in before or one not in after:
                kind = "retired" if one in before else "revived" if (entity, one) in self._ever else "created"
                found.append((number, entity, one, "", kind, None, None, None))
                continue
            for name, cell in after[one].items():
                old = before[one][name].value
                if old != cell.value:
                    found.append((number, entity, one, name, "changed", spelled(old), spelled(cell.value), cell.system))
        return found

    def _episodes(self, now: set[Conflict], number: int) -> list[Conflict]:
        """Conflicts from run to run: each has the publication that opened it and the one that closed it."""
        disagrees = {(c.entity, c.entity_id, c.field, c.source, c.source_key): c for c in now}
        kept = []
        for one in self.conflicts:
            claim = (one.entity, one.entity_id, one.field, one.source, one.source_key)
            if one.closed_in is not None:
                kept.append(one)
            elif claim in disagrees:
                kept.append(_like(disagrees.pop(claim), opened_in=one.opened_in))
            else:
                kept.append(_like(one, closed_in=number))
        opened = sorted(disagrees.values(), key=str)
        return kept + [_like(one, opened_in=number) for one in opened]

    # correct

    def _correct(self, current: dict[Place, Current]) -> None:
        if not self.publication:
            return
        for source, spec in self.ownership.sources.items():
            cells = {
                (place[1], name): self._verdict(place, name, current[place])
                for place in self.keys
                if place[0] == source
                for name in spec.accepts
            }
            self._judge(source, cells)
            self._propose(source, cells)

    def _verdict(self, place: Place, name: str, record: Current) -> tuple[str, str, str]:
        """(verdict, text wanted, text there now) of one accepted cell of a live record."""
        entity, own = self._entity(place), system_of(place[0])
        cell, rule = self.cells[entity][self.keys[place]][name], self.ownership.rule_of(entity, name)
        state, value, _ = record.claims.get(name, NEVER)
        there, wanted = record.raw.get(name, ""), spelled(cell.value) or ""
        stands_in = cell.rule in ("fallback", "stale_owner") and own in (
            rule.owner,
            *(e.owner for e in rule.exceptions),
        )
        if cell.rule is None or cell.system == own or stands_in:
            return "none", wanted, there
        kind = self.ownership.entities[entity].fields[name].type
        agrees = (
            state in ("never", "cleared")
            if cell.value is None
            else state == "value" and compare(kind, value) == compare(kind, cell.value) and name not in record.refused
        )
        return "agrees" if agrees or wanted == there else "differs", wanted, there

    def _judge(self, source: str, cells: dict[tuple[str, str], tuple[str, str, str]]) -> None:
        """What became of earlier corrections, told by what the target says now."""
        newest: dict[tuple[str, str], int] = {}
        for _, key, name, number in (k for k in self.corrections if k[0] == source):
            newest[key, name] = max(number, newest.get((key, name), 0))
        for (of, key, name, number), one in self.corrections.items():
            if of != source or one["state"] not in (*OPEN, "confirmed"):
                continue
            verdict, wanted, there = cells.get((key, name), ("gone", "", ""))
            still = verdict == "differs" and wanted == one["wanted"]
            state = None
            if one["state"] == "confirmed":
                if still and there == one["observed"] and newest[key, name] == number:
                    state = "reverted"
            elif verdict == "gone":
                state = "superseded"
            elif there == one["wanted"] or (verdict == "agrees" and wanted == one["wanted"]):
                state = "confirmed"
            elif not still:
                state = "superseded"
            elif there != one["observed"]:
                state = "altered"
            if state:
                one |= {"state": state, "closed_in": self.publication}

    def _propose(self, source: str, cells: dict[tuple[str, str], tuple[str, str, str]]) -> None:
        """Disagreements about which no correction is open."""
        opened = {
            (key, name) for (of, key, name, _), one in self.corrections.items() if of == source and one["state"] in OPEN
        }
        entity = self.ownership.sources[source].entity
        for (key, name), (verdict, wanted, there) in cells.items():
            if verdict == "differs" and (key, name) not in opened:
                entity_id = self.keys[source, key]
                cell = self.cells[entity][entity_id][name]
                self.corrections[source, key, name, self.publication] = {
                    "entity_id": entity_id, "observed": there, "wanted": wanted, "owner": cell.system,
                    "rule": cell.rule, "state": "proposed", "closed_in": None,
                }  # fmt: skip


class Registry:
    """Ids that survive: a cluster keeps the id with which it shares most records."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self.of: dict[Place, str] = {}
        """The id of every record, of a deleted one the last that it had."""
        self.born: dict[str, int] = {}
        self._alive: set[str] = set()
        self._moves: list[tuple[Place, str, str, int]] = []

    def assign(self, clusters: list[set[Place]], number: int, same: set[Place]) -> None:
        """`same`: records that are as they were when last published."""
        named: dict[str, set[Place]] = {}
        rest = sorted((sorted(cluster) for cluster in clusters), key=lambda one: one[0])
        rest = self._inherit(rest, named, same)
        rest = self._take_back(rest, named, self._left)
        rest = self._take_back(rest, named, self._founded)
        for cluster in rest:
            again, free = 0, self.digest(cluster[0])
            while free in self._alive or free in named:
                again += 1
                free = self.digest(cluster[0], f"|{again}")
            named[free] = set(cluster)
        self._alive = set(named)
        for one, cluster in named.items():
            self.born.setdefault(one, number)
            for place in cluster:
                if self.of.get(place, one) != one:
                    self._moves.append((place, self.of[place], one, number))
                self.of[place] = one

    def digest(self, place: Place, more: str = "") -> str:
        return hashlib.md5(f"{self.entity}|{place[0]}|{place[1]}{more}".encode()).hexdigest()[:16]

    def _inherit(
        self, clusters: list[list[Place]], named: dict[str, set[Place]], same: set[Place]
    ) -> list[list[Place]]:
        """Most shared records first; then the oldest id, the least id, most records that stayed, the smallest record."""
        shared = []
        for cluster in clusters:
            stayed = Counter(self.of[place] for place in cluster if place in self.of and place in same)
            for one, count in Counter(self.of[place] for place in cluster if place in self.of).items():
                shared.append((-count, self.born[one], one, -stayed[one], cluster[0], cluster))
        return self._settle(clusters, named, shared)

    @staticmethod
    def _settle(clusters: list[list[Place]], named: dict[str, set[Place]], pairs: list[Any]) -> list[list[Place]]:
        for _, _, one, _, _, cluster in sorted(pairs):
            if one not in named and cluster in clusters:
                named[one] = set(cluster)
                clusters = [other for other in clusters if other != cluster]
        return clusters

    def _take_back(
        self, clusters: list[list[Place]], named: dict[str, set[Place]], candidates: Any
    ) -> list[list[Place]]:
        """A cluster without an id takes back a retired one."""
        pairs = [
            (-count, self.born[one], one, -lately, cluster[0], cluster)
            for cluster in clusters
            for one, (count, lately) in candidates(cluster).items()
            if one in self.born and one not in self._alive and one not in named
        ]
        return self._settle(clusters, named, pairs)

    def _left(self, cluster: list[Place]) -> dict[str, tuple[int, int]]:
        """Ids from which records of the cluster went to the one that they have now: how many, and when last."""
        went: dict[str, set[Place]] = defaultdict(set)
        last: dict[str, int] = {}
        for place, before, after, number in self._moves:
            if place in cluster and self.of.get(place) == after:
                went[before].add(place)
                last[before] = max(number, last.get(before, 0))
        return {one: (len(places), last[one]) for one, places in went.items()}

    def _founded(self, cluster: list[Place]) -> dict[str, tuple[int, int]]:
        """Ids that a record of the cluster founded."""
        return {self.digest(place): (0, 0) for place in cluster if place in self.of}


def _like(one: Conflict, **values: Any) -> Conflict:
    return Conflict(**{**one.__dict__, **values})
