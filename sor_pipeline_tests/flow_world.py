"""Small worlds for laws about the whole flow: two systems, two entities, a few days of extracts.

A world is what each source exports on each day; `deliver` writes chosen days, `told` says what is
published, with entity ids replaced by the records they stand for, so that worlds with different
histories can be compared.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import strategies as st

from sor_pipeline.flow import STEPS, Passage, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings

FIRST = datetime(2026, 3, 1)
DOCUMENT = Ownership.model_validate(
    {
        "systems": {"crm": {}, "mail": {}},
        "entities": {
            "account": {"owner": "crm", "fields": {"name": {"type": "name"}}},
            "contact": {
                "owner": "crm",
                "match": [{"linked": {"mail.members.crm_id": "crm.contacts"}}, {"same": ["email"]}],
                "fields": {
                    "email": {"type": "email"},
                    "name": {"type": "name", "fallback": ["mail"]},
                    "country": {"type": "country"},
                    "account": {"type": "ref", "to": "account"},
                    "opted_in": {
                        "type": "boolean", "owner": "mail",
                        "exceptions": [{"when": "country = 'DE'", "owner": "crm", "reason": "law"}],
                    },
                    "seen": {"type": "integer", "take": "max"},
                },
            },
        },
        "sources": {
            "crm.accounts": {
                "entity": "account", "key": "id", "fields": {"name": "name"},
                "extract": {"files": "accounts-*.csv", "mode": "snapshot", "max_shrink": 1},
            },
            "crm.contacts": {
                "entity": "contact", "key": "id",
                "fields": {n: n for n in ("email", "name", "country", "account", "opted_in", "seen")},
                "extract": {"files": "contacts-*.csv", "mode": "snapshot", "max_shrink": 1},
                "accepts": ["email"],
            },
            "mail.members": {
                "entity": "contact", "key": "id", "changed_at": "at",
                "fields": {n: n for n in ("email", "name", "opted_in", "seen")},
                "extract": {"files": "members-*.csv", "mode": "changes", "deleted": {"gone": ["1"]}},
                "accepts": ["email", "name"],
            },
        },
    }
)  # fmt: skip
HEADERS = {
    "accounts": ("id", "name"),
    "contacts": ("id", "email", "name", "country", "account", "opted_in", "seen"),
    "members": ("id", "email", "name", "opted_in", "seen", "crm_id", "gone", "at"),
}
ENTITIES = ("account", "contact")
QUICK = tuple(step for step in STEPS if step.name != "check")
"""Without expectations, whose library takes seconds to import; laws about holds have their own tests."""

_EMAIL = st.sampled_from(["", "a@x.example", "B@x.example", "b@x.example", "c@y.example", "not an address"])
_NAME = st.sampled_from(["", "Ann", "ann", "Bob", "N/A"])
_FLAG = st.sampled_from(["", "true", "false", "maybe"])
_COUNT = st.sampled_from(["", "1", "7", "x"])


@dataclass(frozen=True)
class World:
    """`days[d][stream]`: the rows of that day's extract; None where the stream delivers nothing."""

    days: tuple[dict[str, list[dict[str, str]] | None], ...]


@st.composite
def worlds(draw: st.DrawFn, days: int = 3) -> World:
    made = []
    for day in range(days):
        stamp = (FIRST + timedelta(days=day)).isoformat(sep=" ")
        accounts = (
            [{"id": key, "name": draw(_NAME)} for key in draw(st.sets(st.sampled_from("pq")))]
            if draw(st.booleans())
            else None
        )
        contacts = [
            {
                "id": key, "email": draw(_EMAIL), "name": draw(_NAME), "country": draw(st.sampled_from(["", "DE", "US"])),
                "account": draw(st.sampled_from(["", "p", "q", "zz"])), "opted_in": draw(_FLAG), "seen": draw(_COUNT),
            }
            for key in sorted(draw(st.sets(st.sampled_from("123"))))
        ]  # fmt: skip
        members = [
            {
                "id": key, "email": draw(_EMAIL), "name": draw(_NAME), "opted_in": draw(_FLAG), "seen": draw(_COUNT),
                "crm_id": draw(st.sampled_from(["", "1", "2", "9"])), "gone": draw(st.sampled_from(["0", "0", "0", "1"])), "at": stamp,
            }
            for key in sorted(draw(st.sets(st.sampled_from("xyz"))))
        ]  # fmt: skip
        made.append(
            {
                "accounts": accounts,
                "contacts": contacts if draw(st.integers(0, 3)) else None,
                "members": members or None,
            }
        )
    return World(tuple(made))


class Site:
    """One state folder and its extracts."""

    def __init__(self, folder: Path, document: Ownership = DOCUMENT) -> None:
        self.document = document
        self.settings = Settings.read(
            {}, ownership=folder / "ownership.yaml", home=folder / "home", extracts=folder / "extracts"
        )
        self.settings.extracts.mkdir(parents=True, exist_ok=True)

    def deliver(self, world: World, day: int, stream: str) -> None:
        rows = world.days[day][stream]
        if rows is None:
            return
        self.put(stream, day, HEADERS[stream], rows)

    def put(self, stream: str, day: int, header: tuple[str, ...], rows: list[dict[str, str]]) -> None:
        """One extract of that day, of any shape; a cell that a row lacks is blank."""
        name = f"{stream}-{(FIRST + timedelta(days=day)).date().isoformat()}.csv"
        with (self.settings.extracts / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def deliver_day(self, world: World, day: int) -> None:
        for stream in HEADERS:
            self.deliver(world, day, stream)

    def run(self, day: int = 9, steps: Any = QUICK) -> Passage:
        with opened(self.document, self.settings, FIRST + timedelta(days=day)) as hands:
            return pass_through(hands, steps)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.conformed), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All published rows of all tables: for comparing sites with one history."""
        tables = [
            row[0]
            for row in self.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'conformed' ORDER BY 1")
        ]
        return {table: self.query(f'SELECT * FROM conformed."{table}" ORDER BY ALL') for table in tables}

    def told(self) -> str:
        """What is published now, ids replaced by the live records they stand for; as comparable text."""
        if not self.settings.conformed.exists():
            # nothing published and everything retired again read the same
            tables = [*ENTITIES, *(f"{entity}_source" for entity in ENTITIES), "conflict"]
            return json.dumps({table: [] for table in tables}, indent=1)
        names: dict[str, list[str]] = {}
        for entity in ENTITIES:
            for source, key, entity_id in self.query(
                f"SELECT source, source_key, {entity}_id FROM conformed.{entity}_key"
            ):
                names.setdefault(entity_id, []).append(f"{source}/{key}")
        known = {entity_id: "+".join(sorted(records)) for entity_id, records in names.items()}

        def plain(rows: list[tuple[Any, ...]]) -> list[list[str]]:
            return sorted([str(known.get(value, value)) for value in row] for row in rows)

        answer = {entity: plain(self.query(f"SELECT * FROM conformed.{entity}")) for entity in ENTITIES}
        answer |= {
            f"{entity}_source": plain(self.query(f"SELECT * FROM conformed.{entity}_source")) for entity in ENTITIES
        }
        answer["conflict"] = plain(
            self.query("SELECT * EXCLUDE (opened_in, closed_in) FROM conformed.conflict WHERE closed_in IS NULL")
        )
        return json.dumps(answer, indent=1)

    def corrections(self) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(
                "SELECT source, source_key, field, observed, wanted FROM outbound.correction WHERE closed_in IS NULL ORDER BY ALL"
            ).fetchall()
