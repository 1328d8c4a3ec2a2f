"""People with records in two tools that share no key, staged directly: for laws about similarity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from sor_pipeline.engine.base import Engine
from sor_pipeline.engine.open import open_engine
from sor_pipeline.identify.similar.pairs import write_pairs
from sor_pipeline.identify.work import Work
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS, ClaimState, Tables

TYPES: dict[str, dict[str, Any]] = {
    "first_name": {"type": "name", "personal": True},
    "last_name": {"type": "name", "personal": True},
    "email": {"type": "email", "personal": True},
    "phone": {"type": "phone"},
    "birthday": {"type": "date"},
    "street": {"type": "text"},
    "city": {"type": "text"},
    "postal_code": {"type": "postal_code"},
}
SIMILAR: dict[str, Any] = {
    "similar": ["first_name", "last_name", "email", "phone", "birthday", {"address": ["street", "city", "postal_code"]}]
}


def document(similar: dict[str, Any] | None = None, unique: tuple[str, ...] = ()) -> Ownership:
    source = {
        "entity": "contact",
        "extract": {"files": "x-*.csv"},
        "key": "id",
        "fields": {name: name for name in TYPES},
    }
    rules = [SIMILAR if similar is None else similar]
    return Ownership.model_validate(
        {
            "systems": {"a": {}, "b": {}},
            "entities": {"contact": {"owner": "a", "match": [rule for rule in rules if rule], "fields": TYPES}},
            "sources": {f"{name}.people": {**source, "unique": name in unique} for name in "ab"},
        }
    )


@dataclass(frozen=True)
class Person:
    """A staged record; None is a claim that is not a value. `at` names it: `a1` is record 1 of a.people."""

    at: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    birthday: str | None = None
    street: str | None = None
    city: str | None = None
    postal_code: str | None = None
    deleted: bool = False

    def row(self, publication: int) -> dict[str, Any]:
        row: dict[str, Any] = {"_key": self.at[1:], "_publication": publication}
        row["_deleted_at"] = datetime(2026, 1, 1) if self.deleted else None
        for name, declared in TYPES.items():
            said = getattr(self, name)
            value = date.fromisoformat(said) if said and declared["type"] == "date" else said
            row[name] = value
            row[f"{name}__state"] = ClaimState.value if said else ClaimState.never
            if declared["type"] in ("name", "text"):
                row[f"{name}__cmp"] = said.lower() if said else None
        return row


class World:
    """One warehouse. What is `put` awaits the next publication, until `publish`."""

    def __init__(self, home: Path, ownership: Ownership | None = None) -> None:
        self.home = home
        self.engine: Engine = open_engine(f"duckdb:///{home / 'warehouse.duckdb'}", [home])
        self.use(ownership or document())

    def use(self, ownership: Ownership) -> None:
        """Another document of the same sources and fields: no table has another shape."""
        fresh = not hasattr(self, "tables")
        self.tables = Tables(ownership)
        if fresh:
            self.engine.create(self.tables.metadata, SCHEMAS)
        settings = Settings.read({}, home=self.home)
        self.run = Run(ownership, self.engine, self.tables, settings, datetime(2026, 1, 1))

    def at(self, moment: datetime) -> None:
        self.run = replace(self.run, now=moment)

    def clear(self, ownership: Ownership | None = None) -> World:
        """As new, but for the models: making tables takes longer than most tests."""
        with self.engine.begin() as connection:
            for table in self.tables.metadata.sorted_tables:
                if table.schema == "staged" or table.name in (
                    "publication",
                    "contact__pair",
                    "contact__block",
                    "contact",
                ):
                    connection.execute(sa.delete(table))
        self.use(ownership or document())
        return self

    def put(self, people: Iterable[Person]) -> None:
        """New records, or others in the place of those of the same name."""
        people = list(people)
        with self.engine.begin() as connection:
            for name in "ab":
                staged = self.tables.staged[f"{name}.people"]
                mine = [one for one in people if one.at[0] == name]
                rows = [one.row(self.run.pending(connection)) for one in mine]
                connection.execute(sa.delete(staged).where(staged.c._key.in_([row["_key"] for row in rows])))
                if rows:
                    connection.execute(sa.insert(staged), rows)

    def publish(self) -> None:
        with self.engine.begin() as connection:
            number = self.run.pending(connection)
            connection.execute(sa.insert(self.tables.publication).values(publication=number))

    def write(self, *, everything: bool = False) -> tuple[str, ...]:
        """Brings the pairs up to date; returns the codes of faults."""
        with self.engine.begin() as connection:
            work = Work(self.run, connection, "contact", self.run.pending(connection))
            return tuple(fault.code for fault in write_pairs(work, everything))

    def pairs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By the names of the two records."""
        with self.engine.begin() as connection:
            rows = connection.execute(sa.select(self.tables.pair["contact"])).mappings().fetchall()
        told = [
            (row["left_source"][0] + row["left_key"], row["right_source"][0] + row["right_key"], dict(row))
            for row in rows
        ]
        return {
            (left, right): {k: row[k] for k in ("weight", "probability", "levels", "verdict", "veto")}
            for left, right, row in told
        }

    def verdict(self, left: str, right: str) -> str:
        """accept, review or none."""
        found = self.pairs()
        return str(found.get((left, right), found.get((right, left), {})).get("verdict", "none"))

    def copy_model(self, other: World) -> None:
        """Puts the other world's models in force here."""
        for name in ("model", "frequency"):
            with other.engine.begin() as connection:
                rows = [dict(row) for row in connection.execute(sa.select(getattr(other.tables, name))).mappings()]
            with self.engine.begin() as connection:
                connection.execute(sa.delete(getattr(self.tables, name)))
                connection.execute(sa.insert(getattr(self.tables, name)), rows)


FIRST = [
    "Robert",
    "Mary",
    "William",
    "Patricia",
    "James",
    "Jennifer",
    "John",
    "Linda",
    "Michael",
    "Elizabeth",
    "David",
    "Barbara",
    "Richard",
    "Susan",
    "Joseph",
    "Jessica",
    "Thomas",
    "Karen",
    "Charles",
    "Sarah",
    "Daniel",
    "Nancy",
    "Matthew",
    "Lisa",
    "Anthony",
    "Betty",
    "Mark",
    "Margaret",
    "Donald",
    "Sandra",
]
LAST = [
    "Smith",
    "Johnson",
    "Williams",
    "Brown",
    "Jones",
    "Garcia",
    "Miller",
    "Davis",
    "Rodriguez",
    "Martinez",
    "Hernandez",
    "Lopez",
    "Gonzalez",
    "Wilson",
    "Anderson",
    "Taylor",
    "Moore",
    "Jackson",
    "Martin",
    "Lee",
    "Perez",
    "Thompson",
    "White",
    "Harris",
    "Sanchez",
    "Clark",
    "Ramirez",
    "Lewis",
    "Robinson",
    "Walker",
    "Young",
    "Allen",
    "King",
    "Wright",
    "Scott",
    "Torres",
    "Nguyen",
    "Hill",
    "Flores",
    "Green",
    "Adams",
    "Nelson",
    "Baker",
    "Hall",
    "Rivera",
    "Campbell",
    "Mitchell",
]
STREETS = [
    "Main",
    "Oak",
    "Pine",
    "Maple",
    "Cedar",
    "Elm",
    "Washington",
    "Lake",
    "Hill",
    "Walnut",
    "Spring",
    "North",
    "Ridge",
    "Church",
    "Willow",
]
CITIES = ["Springfield", "Riverton", "Fairview", "Clinton", "Greenville", "Salem", "Madison", "Georgetown"]


def somebody(number: int, rng: np.random.Generator, at: str) -> Person:
    first, last = FIRST[rng.integers(len(FIRST))], LAST[rng.integers(len(LAST))]
    return Person(
        at, first, last, f"{first}.{last}{number}@mail{number % 7}.example".lower(), f"+1315{2000000 + number * 7919:07d}",
        f"{1940 + int(rng.integers(65))}-{1 + int(rng.integers(12)):02d}-{1 + int(rng.integers(28)):02d}",
        f"{1 + int(rng.integers(9000))} {STREETS[rng.integers(len(STREETS))]} Street", CITIES[rng.integers(len(CITIES))],
        f"{10000 + int(rng.integers(200)) * 37}",
    )  # fmt: skip


def population(people: int, seed: int = 5) -> list[Person]:
    """Each has a record in `a`; two in three have one in `b`, where something is missing or other."""
    rng = np.random.default_rng(seed)
    made: list[Person] = []
    for number in range(people):
        one = somebody(number, rng, f"a{number}")
        made.append(one)
        if number % 3:
            change = ("email", "phone", "birthday", "street", "first_name", "none")[int(rng.integers(6))]
            other = {
                "email": None,
                "phone": None,
                "birthday": None,
                "street": "1 New Road",
                "first_name": one.first_name[0] + ".",
            }  # type: ignore[index]
            made.append(replace(one, at=f"b{number}", **({change: other[change]} if change in other else {})))
    return made
