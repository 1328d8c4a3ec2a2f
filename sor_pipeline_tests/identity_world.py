"""A warehouse of staged records for identity alone: what is staged, decided and paired, and what identify makes of it.

Belongs here: putting records, decisions and pairs into the tables, reading the answer, and the reference.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import networkx as nx
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Engine
from sor_pipeline.identify import run as identify
from sor_pipeline.identify.guards import ORPHAN_LIMIT
from sor_pipeline.identify.hollow import ROLE_MAILBOXES
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import ClaimState, Tables

SAME_EMAIL = {"same": ["email"], "max_records": 4}
SAME_NAME_AND_PHONE = {"same": ["name", "phone"], "max_records": 3}
LINKED = {"linked": {"b.people.a_id": "a.people", "c.people.c_id": "c.people"}}
MATCH = [SAME_EMAIL, SAME_NAME_AND_PHONE, LINKED]
LINKS = {"b.people": ("a_id", "a.people"), "c.people": ("c_id", "c.people")}
FIELDS = ("email", "name", "phone")


def document(match: list[dict[str, object]], sources: str = "abc", unique: str = "", max_size: int = 50) -> Ownership:
    source = {"entity": "contact", "extract": {"files": "x-*.csv"}, "key": "id", "fields": {f: f for f in FIELDS}}
    fields = {"email": {"type": "email"}, "name": {"type": "name"}, "phone": {"type": "phone"}}
    deals = {
        "owner": "a",
        "match": [{"same": ["title", "contact"]}],
        "fields": {"title": {}, "contact": {"type": "ref", "to": "contact"}},
    }
    contact = {"owner": "a", "match": match, "fields": fields, "max_size": max_size}
    deal = {"entity": "deal", "extract": {"files": "d-*.csv"}, "key": "id", "fields": {"title": "t", "contact": "c"}}
    return Ownership.model_validate(
        {
            "systems": {name: {} for name in "abc"},
            "entities": {"contact": contact, "deal": deals},
            "sources": {f"{name}.people": {**source, "unique": name in unique} for name in sources}
            | {f"{name}.deals": deal for name in sources},
        }
    )


@lru_cache
def tables_of(match: str, sources: str, unique: str = "", max_size: int = 50) -> Tables:
    return Tables(document(json.loads(match), sources, unique, max_size))


@dataclass(frozen=True)
class Record:
    """A staged record; a value of None is a claim that is not a value."""

    source: str
    key: str
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    link: str | None = None
    deleted: bool = False

    @property
    def at(self) -> tuple[str, str]:
        return self.source, self.key


def rec(at: str, email: str | None = None, **more: object) -> Record:
    """`rec("a1", ...)` is record 1 of a.people."""
    return Record(f"{at[0]}.people", at[1:], email, **more)  # type: ignore[arg-type]


@dataclass
class Warehouse:
    engine: Engine
    home: Path
    match: list[dict[str, object]] = field(default_factory=lambda: MATCH)
    sources: str = "abc"
    unique: str = ""
    max_size: int = 50

    @property
    def run_of(self) -> Run:
        tables = tables_of(json.dumps(self.match), self.sources, self.unique, self.max_size)
        config = Settings.read({}, home=self.home)
        return Run(tables.ownership, self.engine, tables, config, datetime(2024, 1, 1))

    @property
    def tables(self) -> Tables:
        return self.run_of.tables

    def clear(self) -> None:
        with self.engine.begin() as connection:
            for table in tables_of(json.dumps(MATCH), "abc").metadata.sorted_tables:
                if table.schema in ("staged", "identity", "steward") or table.name in ("publication", "state"):
                    connection.execute(sa.delete(table))

    def stage(self, *records: Record) -> None:
        """Put records into the staged tables, pending."""
        run = self.run_of
        with self.engine.begin() as connection:
            for source in sorted({record.source for record in records}):
                mine = [record for record in records if record.source == source]
                target = run.tables.staged[source]
                data = self.columns(source, mine, run.pending(connection))
                rows = self.engine.scan_arrow(connection, "incoming", pa.table(data))
                self.engine.replace(connection, target, rows, ["_key"])

    def columns(self, source: str, records: list[Record], pending: int) -> dict[str, object]:
        count = len(records)
        dead = [datetime(2024, 1, 1) if r.deleted else None for r in records]
        data: dict[str, object] = {"_key": [r.key for r in records], "_publication": [pending] * count}
        data["_deleted_at"] = pa.array(dead, pa.timestamp("us"))
        for name in FIELDS:
            values = [getattr(r, name) for r in records]
            data[name] = pa.array(values, pa.string())
            data[f"{name}__state"] = [ClaimState.never if v is None else ClaimState.value for v in values]
        data["name__cmp"] = pa.array([r.name and r.name.lower() for r in records], pa.string())
        if source in LINKS and any("linked" in rule for rule in self.match):
            data[f"_link__{LINKS[source][0]}"] = pa.array([r.link for r in records], pa.string())
        return data

    def identify(self, *records: Record, entity: str = "contact") -> Outcome:
        self.stage(*records)
        return identify(self.run_of, entity)

    def publish(self) -> None:
        """What resolve and publish leave behind, as far as identity sees it."""
        self.resolve()
        run = self.run_of
        with self.engine.begin() as connection:
            connection.execute(sa.insert(run.tables.publication).values(publication=run.pending(connection)))
            connection.execute(sa.delete(run.tables.affected))

    def resolve(self) -> None:
        run = self.run_of
        with self.engine.begin() as connection:
            connection.execute(sa.delete(run.tables.canonical_state))
            state = {"entity": "contact", "fingerprint": run.ownership.fingerprint}
            connection.execute(sa.insert(run.tables.canonical_state).values(**state))

    def decide(self, kind: str, one: str, other: str) -> int:
        """`link` or `unlink` two records as the ledger does; returns the decision's number."""
        left, right = sorted((f"{at[0]}.people", at[1:]) for at in (one, other))
        return self._entered(
            kind=kind, left_source=left[0], left_key=left[1], right_source=right[0], right_key=right[1]
        )

    def withdraw(self, number: int) -> int:
        table = self.tables.decision
        with self.engine.begin() as connection:
            (taken,) = connection.execute(sa.select(table).where(table.c.decision == number)).mappings().fetchall()
        pair = {name: taken[name] for name in ("left_source", "left_key", "right_source", "right_key")}
        return self._entered(kind="withdraw", withdraws=number, **pair)

    def _entered(self, **values: object) -> int:
        run, table = self.run_of, self.tables.decision
        with self.engine.begin() as connection:
            last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.decision), 0))).scalar_one()
            row = {"decision": last + 1, "entity": "contact", "_publication": run.pending(connection), **values}
            connection.execute(sa.insert(table).values(**row))
        return int(last) + 1

    def refused(self) -> set[tuple[str, str, str, str, str]]:
        """Refused edges as (`a1`, `b1`, rule, guard, detail)."""
        found = self.rows(self.tables.refused["contact"])
        return {(r[0][0] + r[1], r[2][0] + r[3], r[4], r[5], r[6]) for r in found}  # type: ignore[index, operator, misc]

    def cases(self, *, closed: bool = False) -> dict[tuple[str, str, str], str | None]:
        """Open cases (or closed ones) as (`a1`, `b1`, kind) -> outcome."""
        table = self.tables.case
        with self.engine.begin() as connection:
            found = connection.execute(sa.select(table)).fetchall()
        return {
            (r.left_source[0] + r.left_key, r.right_source[0] + r.right_key, r.kind): r.outcome
            for r in found
            if (r.closed_in is not None) == closed
        }

    def moves(self) -> set[tuple[int, str, str, str, str]]:
        """(publication, `a1`, from, to, cause)."""
        return {(r[0], r[2][0] + r[3], *r[4:]) for r in self.rows(self.tables.move)}  # type: ignore[index, operator, misc]

    def rows(self, *tables: sa.Table) -> list[tuple[object, ...]]:
        with self.engine.begin() as connection:
            found = [row for table in tables for row in connection.execute(sa.select(table)).fetchall()]
        return sorted((tuple(row) for row in found), key=repr)

    def ids(self) -> dict[str, str]:
        """`a1` -> entity id, deleted records too."""
        return {source[0] + key: known for source, key, known, _ in self.rows(self.tables.identity["contact"])}  # type: ignore[index, operator, misc]

    def registry(self) -> dict[str, tuple[int, int | None, str | None]]:
        """entity id -> born, retired, merged_into."""
        return {row[1]: row[2:] for row in self.rows(self.tables.id)}  # type: ignore[misc]

    def affected(self) -> dict[str, str]:
        return {row[1]: row[2] for row in self.rows(self.tables.affected)}  # type: ignore[misc]

    def all_state(self) -> list[tuple[object, ...]]:
        tables = self.tables
        return self.rows(tables.identity["contact"], tables.token["contact"], tables.id, tables.affected)

    def resolved(self, known: str) -> str:
        """The living id that an id, living or retired, stands for."""
        into = self.registry()[known][2]
        return known if into is None else self.resolved(into)


def clusters(records: Iterable[Record]) -> set[frozenset[tuple[str, str]]]:
    """What the clusters must be, by networkx."""
    live = [record for record in records if not record.deleted]
    holders: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for record in live:
        for token in tokens_of(record):
            holders.setdefault(token, set()).add(record.at)
    graph = nx.Graph()
    graph.add_nodes_from(record.at for record in live)
    most = {"email": 4, "name+phone": 3, "link": ORPHAN_LIMIT}
    for token, who in holders.items():
        named = token[0] == "link" and tuple(token[2:]) in who
        crowd = Counter("all" if token[0] == "link" else source for source, _ in who)
        if named or (max(crowd.values()) <= most[token[0]] and not strangers(token, who, live)):
            first = min(who)
            graph.add_edges_from((first, other) for other in who)
    return {frozenset(part) for part in nx.connected_components(graph)}


def strangers(token: tuple[str, ...], who: set[tuple[str, str]], live: list[Record]) -> bool:
    """An e-mail whose holders have three names and three telephone numbers or more."""
    holders = [record for record in live if record.at in who]
    names = [record.name.lower() for record in holders if record.name]
    phones = [record.phone for record in holders if record.phone]
    return token[0] == "email" and len(set(names)) >= 3 and len(set(phones)) >= 3


def tokens_of(record: Record) -> Iterator[tuple[str, ...]]:
    if record.email and record.email.split("@")[0] not in ROLE_MAILBOXES:
        yield "email", record.email
    if record.name and record.phone:
        yield "name+phone", record.name.lower(), record.phone
    for source, (_, target) in LINKS.items():
        if record.source == source and record.link:
            yield "link", source, target, record.link
        if record.source == target:
            yield "link", source, *record.at


def partition(warehouse: Warehouse, live: Iterable[Record]) -> set[frozenset[tuple[str, str]]]:
    parts: dict[str, set[tuple[str, str]]] = {}
    ids = warehouse.ids()
    for record in live:
        if not record.deleted:
            parts.setdefault(ids[record.source[0] + record.key], set()).add(record.at)
    return {frozenset(part) for part in parts.values()}


def consistent(warehouse: Warehouse, records: Iterable[Record]) -> None:
    """Registry and identity agree: living ids are those of live records, every retired one leads on or ends."""
    ids, registry = warehouse.ids(), warehouse.registry()
    living = {ids[r.source[0] + r.key] for r in records if not r.deleted}
    assert {known for known, (_, retired, _) in registry.items() if retired is None} == living
    assert set(ids.values()) <= registry.keys()
    assert len(registry) == len(warehouse.rows(warehouse.tables.id))
    for known, (_, retired, into) in registry.items():
        assert into is None or retired is not None
        warehouse.resolved(known)


def founded(at: str, again: str = "") -> str:
    return hashlib.md5(f"contact|{at[0]}.people|{at[1:]}{again}".encode()).hexdigest()[:16]
