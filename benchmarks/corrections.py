"""Corrections computed per second: one target of many records, of which some disagree.

    python benchmarks/corrections.py --records 1000000 --disagree 0.05

The tables that `correct` reads are made directly: one record per entity in the CRM and one in the mail tool, four
accepted fields, of which the e-mail of a share of the records differs. Prints the wall and processor seconds of
comparing all of it (proposals, receipts and the outbox included), of comparing it again when nothing changed, and
both as a ratio to a committed `CREATE TABLE AS SELECT *` of the same staged and published tables in the same process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from sor_pipeline.correct.step import run as correct
from sor_pipeline.flow import opened
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings

SEEN = datetime(2026, 1, 1)
FIELDS = {"email": {"type": "email"}, "name": {"type": "name"}, "city": {"type": "text"}, "seats": {"type": "integer"}}
TARGET = "mail.members"


def document() -> Ownership:
    """A CRM that owns everything, and a mail tool that accepts all of it."""
    mapped = {name: name for name in FIELDS}
    extract = {"files": "none-*.csv"}
    return Ownership.model_validate(
        {
            "systems": {"crm": {}, "mail": {}},
            "entities": {"contact": {"owner": "crm", "fields": FIELDS}},
            "sources": {
                "crm.contacts": {"entity": "contact", "key": "id", "extract": extract, "fields": mapped},
                TARGET: {
                    "entity": "contact", "key": "id", "extract": extract, "fields": mapped, "accepts": list(FIELDS),
                },
            },
        }
    )  # fmt: skip


def frame(records: int, disagree: float) -> pl.DataFrame:
    """One row per contact: what both tools say; `theirs` differs from `email` for the share of them."""
    number = pl.int_range(records, eager=True)
    text = number.cast(pl.String)
    step = max(int(1 / disagree), 1) if disagree else records + 1
    return pl.DataFrame(
        {
            "id": "c" + text, "key": "m" + text, "email": "user" + text + "@company.example",
            "name": "Name " + (number % 9973).cast(pl.String), "city": "City " + (number % 300).cast(pl.String),
            "seats": number % 40, "differs": (number % step) == 0,
        }
    ).with_columns(
        theirs=pl.when("differs").then("old" + pl.col("email")).otherwise("email")
    )  # fmt: skip


def filled(run: Run, made: pl.DataFrame) -> None:
    """The tables after a first publication."""
    tables = run.tables
    with run.engine.begin() as connection:
        rows = run.engine.scan_arrow(connection, "made", made.to_arrow())
        put(connection, tables.staged[TARGET], staged(tables.staged[TARGET], rows), rows)
        cells: dict[str, Any] = {"entity_id": rows.c.id, "_publication": sa.literal(1)}
        for name in FIELDS:
            cells |= {name: rows.c[name], f"{name}__system": sa.literal("crm"), f"{name}__rule": sa.literal("owner")}
        cells["email__cmp"] = rows.c.email
        cells["name__cmp"] = sa.func.lower(rows.c.name)
        put(connection, tables.canonical["contact"], cells, rows)
        put(connection, tables.conformed["contact"], {"contact_id": rows.c.id, **{n: rows.c[n] for n in FIELDS}}, rows)
        key = {"source": sa.literal(TARGET), "source_key": rows.c.key, "contact_id": rows.c.id}
        put(connection, tables.keys["contact"], key, rows)
        publication = {"publication": 1, "published_at": SEEN, "fingerprint": run.ownership.fingerprint}
        connection.execute(sa.insert(tables.publication).values(publication))


def staged(table: sa.Table, rows: sa.FromClause) -> dict[str, Any]:
    said = {"email": rows.c.theirs, "name": rows.c.name, "city": rows.c.city, "seats": rows.c.seats}
    values: dict[str, Any] = {"_key": rows.c.key, "_changed_at": sa.literal(SEEN), "_publication": sa.literal(1)}
    for name, column in said.items():
        values |= {name: column, f"{name}__state": sa.literal(1), f"{name}__since": sa.literal(SEEN)}
        values |= {f"{name}__raw": sa.cast(column, sa.Text), f"{name}__cmp": sa.func.lower(sa.cast(column, sa.Text))}
    return {name: value for name, value in values.items() if name in table.c}


def put(connection: sa.Connection, table: sa.Table, values: dict[str, Any], rows: sa.FromClause) -> None:
    known = {name: value for name, value in values.items() if name in table.c}
    connection.execute(sa.insert(table).from_select(list(known), sa.select(*known.values()).select_from(rows)))


def cost(work: Callable[[], object]) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": round(time.perf_counter() - began, 2), "cpu": round(time.process_time() - cpu, 2)}


def floor(run: Run) -> None:
    """Copies what is compared, and commits."""
    tables = run.tables
    for number, table in enumerate((tables.staged[TARGET], tables.canonical["contact"], tables.conformed["contact"])):
        columns = [sa.Column(column.name, column.type) for column in table.columns]
        copy = sa.Table(f"floor_{number}", sa.MetaData(), *columns, schema="audit")
        with run.engine.begin() as connection:
            copy.create(connection)
            connection.execute(sa.insert(copy).from_select(list(table.c.keys()), sa.select(table)))


def main() -> None:
    parser = argparse.ArgumentParser(description="corrections computed per second")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--disagree", type=float, default=0.05)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings.read({}, ownership=home / "ownership.yaml", home=home / "home", extracts=home)
        with opened(document(), settings, SEEN) as run:
            filled(run, frame(asked.records, asked.disagree))
            base = cost(lambda: floor(run))
            found: dict[str, int] = {}
            first = cost(lambda: found.update(correct(run, "mail").counts))
            again = cost(lambda: correct(run, "mail"))
    told = {
        "records": asked.records, "corrections": found["proposed"], "floor": base, "first": first, "again": again,
        "corrections_per_second": round(found["proposed"] / first["wall"]),
        "records_per_second": round(asked.records / first["wall"]),
        "ratio_wall": round(first["wall"] / base["wall"], 2), "ratio_cpu": round(first["cpu"] / base["cpu"], 2),
    }  # fmt: skip
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
