"""The rules of resolution in plain Python, written from the design and not from the SQL.

A world is a list of `Record`s; `resolve` gives what every cell must hold. Slow, small, obvious.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.expressions import parse

Claim = tuple[str, Any, datetime]  # state, value, since
NEVER: Claim = ("never", None, datetime(1970, 1, 1))


@dataclass(frozen=True)
class Record:
    source: str
    key: str
    entity_id: str
    changed_at: datetime
    claims: dict[str, Claim] = field(default_factory=dict)
    deleted: bool = False

    @property
    def system(self) -> str:
        return system_of(self.source)

    def claim(self, name: str) -> Claim:
        return self.claims.get(name, NEVER)


@dataclass(frozen=True)
class Cell:
    value: Any = None
    system: str | None = None
    source: str | None = None
    key: str | None = None
    rule: str | None = None
    since: datetime | None = None


def compare(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def resolve(ownership: Ownership, entity: str, records: Iterable[Record], now: datetime) -> dict[str, dict[str, Cell]]:
    """entity id -> field -> cell, for entities with a live record."""
    by_entity: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if not record.deleted:
            by_entity[record.entity_id].append(record)
    return {entity_id: _cells(ownership, entity, own, now) for entity_id, own in by_entity.items()}


def _cells(ownership: Ownership, entity: str, records: list[Record], now: datetime) -> dict[str, Cell]:
    fields = ownership.entities[entity].fields
    done: dict[str, Cell] = {}
    while len(done) < len(fields):
        for name, spec in fields.items():
            conditions = [parse(e.when, fields) for e in ownership.rule_of(entity, name).exceptions]
            if name in done or any(read not in done for c in conditions for read in c.fields):
                continue
            unit = (
                [n for n, f in fields.items() if f.group == spec.group and f.take is None]
                if spec.group and not spec.take
                else [name]
            )
            done[name] = _cell(ownership, entity, name, unit, records, done, now)
    return done


def _speaker(records: list[Record], system: str, unit: list[str]) -> Record | None:
    """The system's first record that says anything about the unit."""
    own = sorted((r for r in records if r.system == system), key=lambda r: (-r.changed_at.timestamp(), r.key, r.source))
    return next((r for r in own if any(r.claim(n)[0] in ("value", "cleared") for n in unit)), None)


def _cell(
    ownership: Ownership,
    entity: str,
    name: str,
    unit: list[str],
    records: list[Record],
    done: dict[str, Cell],
    now: datetime,
) -> Cell:
    rule = ownership.rule_of(entity, name)
    speakers = {system: _speaker(records, system, unit) for system in ownership.systems_of(entity)}

    def says(system: str, by: str) -> Cell:
        record = speakers[system]
        assert record is not None
        state, value, since = record.claim(name)
        shown = since if name in ownership.sources[record.source].fields else None
        return Cell(value if state == "value" else None, system, record.source, record.key, by, shown)

    def has_value(system: str) -> bool:
        record = speakers.get(system)
        return record is not None and any(record.claim(n)[0] == "value" for n in unit)

    def since(system: str) -> datetime:
        record = speakers[system]
        assert record is not None
        return max(since for state, _, since in map(record.claim, unit) if state != "never")

    if rule.take:
        return _taken(rule.take, [s for s in rule.among if has_value(s)], says, since)
    owner, by = str(rule.owner), "owner"
    values = {n: c.value for n, c in done.items()}
    for exception in rule.exceptions:
        if parse(exception.when, ownership.entities[entity].fields).holds(values):
            owner, by = exception.owner, "exception"
            break
    others = [s for s in rule.fallback if s != owner and has_value(s)]
    if speakers.get(owner) is None:
        return says(others[0], "fallback") if others else Cell()
    if rule.stale_after and has_value(owner) and since(owner) < now - rule.stale_after:
        newer = [s for s in others if since(s) > since(owner)]
        if newer:
            return says(newer[0], "stale_owner")
    return says(owner, by)


def _taken(take: str, rivals: list[str], says: Any, since: Any) -> Cell:
    if not rivals:
        return Cell()
    cells = {system: says(system, "take") for system in rivals}
    if take == "all":
        items = sorted({json.dumps(c.value, ensure_ascii=False) for c in cells.values()})
        return Cell("[" + ",".join(items) + "]", None, None, None, "take", max(c.since for c in cells.values()))
    votes = Counter(compare(c.value) for c in cells.values())
    score = {
        "latest": since,
        "earliest": lambda s: -since(s).timestamp(),
        "longest": lambda s: len(str(cells[s].value)),
        "max": lambda s: cells[s].value,
        "min": lambda s: -sorted(c.value for c in cells.values()).index(cells[s].value),
        "most_common": lambda s: votes[compare(cells[s].value)],
    }[take]
    best = max(score(s) for s in rivals)
    return cells[next(s for s in rivals if score(s) == best)]


def conflicts(
    ownership: Ownership, entity: str, records: Iterable[Record], cells: dict[str, dict[str, Cell]]
) -> set[tuple[str, ...]]:
    """(entity_id, field, source, key, kind) of every claim that disagrees with what holds."""
    found = set()
    for record in records:
        if record.deleted:
            continue
        for name in ownership.sources[record.source].fields:
            field_ = ownership.entities[entity].fields[name]
            cell, (state, value, _) = cells[record.entity_id][name], record.claim(name)
            kind = None
            decides = (cell.source, cell.key) == (record.source, record.key)
            if field_.take == "all":
                continue
            if state == "value" and (
                (decides and cell.rule == "fallback") or (cell.system is None and cell.value is None)
            ):
                kind = "missing_at_owner"
            elif not decides and state in ("value", "cleared") and _differ(value, cell.value, field_.tolerance):
                kind = "owner_disagrees_with_itself" if cell.system == record.system else "differs"
            if kind:
                found.add((record.entity_id, name, record.source, record.key, kind))
    return found


def _differ(one: Any, other: Any, tolerance: float) -> bool:
    if tolerance and one is not None and other is not None:
        return bool(abs(one - other) > tolerance)
    return bool(compare(one) != compare(other))
