"""A whole run at size: 4 sources, 12 fields; full, then with 1 % changed.

    python benchmarks/whole_run.py --records 1000000 [--folder DIR]

Prints seconds and rows/s per step, peak memory of the process, and two ratios: resolve against a
plain `CREATE TABLE AS SELECT *` of the same staged tables in the same process, and the 1 % run
against the full one, everything included.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from sor_pipeline.flow import Passage, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings

SOURCES = ("crm.contacts", "mail.members", "desk.users", "bill.customers")
START = datetime(2026, 1, 1)
FIELDS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "required": True},
    "first_name": {"type": "name"},
    "last_name": {"type": "name"},
    "company": {"type": "text", "fallback": ["desk", "bill"]},
    "street": {"type": "text", "group": "address"},
    "city": {"type": "text", "group": "address"},
    "country": {"type": "country", "group": "address"},
    "opted_in": {
        "type": "boolean", "owner": "mail",
        "exceptions": [{"when": "country in ('DE', 'AT')", "owner": "crm", "reason": "double opt-in"}],
    },
    "mrr": {"type": "decimal", "owner": "bill"},
    "seats": {"type": "integer", "owner": "bill", "fallback": ["crm"]},
    "last_seen": {"type": "timestamp", "take": "latest"},
    "signed_on": {"type": "date", "owner": "crm", "fallback": ["bill"]},
}  # fmt: skip


def document() -> Ownership:
    """Four systems that all say something about every field of one entity."""
    return Ownership.model_validate(
        {
            "systems": {source.split(".")[0]: {} for source in SOURCES},
            "entities": {
                "contact": {
                    "owner": "crm",
                    "match": [{"same": ["email"]}],
                    "groups": {"address": {"owner": "bill", "fallback": ["crm"]}},
                    "fields": FIELDS,
                }
            },
            "sources": {
                source: {
                    "entity": "contact",
                    "extract": {"files": f"{source}-*.csv", "mode": "changes"},
                    "key": "id",
                    "changed_at": "updated_at",
                    "fields": {name: name for name in FIELDS},
                    "accepts": ["email", "company"] if source != "crm.contacts" else [],
                }
                for source in SOURCES
            },
        }
    )


def extract(number: int, entities: np.ndarray[Any, Any], day: int, rng: np.random.Generator) -> pl.DataFrame:
    """One source's rows for these entities on that day; a tenth of each field's cells is blank or deviates."""
    size = len(entities)
    text = pl.Series("n", entities).cast(pl.Utf8)
    wobble = pl.Series("w", rng.integers(0, 10, size)).cast(pl.Utf8)
    moment = START + timedelta(days=day)
    columns = {
        "id": "s" + pl.Series([str(number)]).first() + "-" + text,
        "email": "user" + text + "@company" + (pl.Series(entities) % 5000).cast(pl.Utf8) + ".example",
        "first_name": "First" + (pl.Series(entities) % 997).cast(pl.Utf8),
        "last_name": "Last" + (pl.Series(entities) % 9973).cast(pl.Utf8),
        "company": "Company "
        + (pl.Series(entities) % 5000).cast(pl.Utf8)
        + wobble.replace({"0": " Ltd", **{str(i): "" for i in range(1, 10)}}),
        "street": text + " Main St",
        "city": "City " + (pl.Series(entities) % 300).cast(pl.Utf8),
        "country": pl.Series(np.array(["US", "DE", "AT", "FR"])[entities % 4]),
        "opted_in": pl.Series(np.where(rng.random(size) < 0.5, "true", "false")),
        "mrr": (pl.Series(entities) % 900).cast(pl.Utf8) + "." + wobble + "0",
        "seats": (pl.Series(entities) % 40 + day).cast(pl.Utf8),
        "last_seen": pl.Series([moment.isoformat(sep=" ")] * size),
        "signed_on": pl.Series(["2025-06-01"] * size),
        "updated_at": pl.Series([(moment + timedelta(seconds=number)).isoformat(sep=" ")] * size),
    }
    frame = pl.DataFrame(columns)
    blanks = [
        pl.when(pl.Series(rng.random(size) < 0.05)).then(pl.lit("")).otherwise(pl.col(n)).alias(n)
        for n in FIELDS
        if n != "email"
    ]
    return frame.with_columns(blanks)


def write_day(folder: Path, day: int, entities: np.ndarray[Any, Any]) -> None:
    """One extract per source."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(day)
    for number, source in enumerate(SOURCES):
        stamp = (START + timedelta(days=day)).date().isoformat()
        extract(number, entities, day, rng).write_csv(folder / f"{source}-{stamp}.csv")


def floor(run: Run) -> float:
    """Seconds of `CREATE TABLE AS SELECT *` over the staged tables, committed to the same warehouse."""
    began = time.perf_counter()
    with run.engine.begin() as connection:
        for number, table in enumerate(run.tables.staged.values()):
            connection.execute(sa.CreateTableAs(sa.select(table), f"floor_{number}", schema="canonical"))
    seconds = time.perf_counter() - began
    with run.engine.begin() as connection:
        for number in range(len(run.tables.staged)):
            connection.execute(sa.schema.DropTable(sa.Table(f"floor_{number}", sa.MetaData(), schema="canonical")))
    return seconds


def timed(run: Run) -> tuple[Passage, float]:
    began = time.perf_counter()
    passage = pass_through(run)
    return passage, time.perf_counter() - began


def per_step(passage: Passage) -> dict[str, float]:
    steps: dict[str, float] = {}
    for one in passage.done:
        steps[one.step] = steps.get(one.step, 0.0) + one.seconds
    return steps


def report(title: str, passage: Passage, seconds: float, records: int) -> None:
    print(f"{title}: {seconds:.1f} s, {records / seconds:,.0f} records/s, state {passage.state}")
    for step, took in per_step(passage).items():
        print(f"  {step:<9} {took:7.2f} s")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    for fault in passage.faults[:3]:
        print(fault)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="source records over all four sources")
    parser.add_argument("--changed", type=float, default=0.01, help="share that changes in the second run")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="sor-benchmark-"))
    ownership = document()
    settings = Settings.read(
        {}, ownership=folder / "ownership.yaml", home=folder / "state", extracts=folder / "extracts"
    )
    entities = np.arange(arguments.records // len(SOURCES))
    write_day(settings.extracts, 0, entities)
    with opened(ownership, settings, START + timedelta(days=1)) as run:
        full, full_seconds = timed(run)
        report("full run", full, full_seconds, arguments.records)
        plain = min(floor(run) for _ in range(3))
    changed = np.random.default_rng(1).choice(entities, int(len(entities) * arguments.changed), replace=False)
    write_day(settings.extracts, 1, changed)
    with opened(ownership, settings, START + timedelta(days=2)) as run:
        part, part_seconds = timed(run)
        report(f"{arguments.changed:.0%} run", part, part_seconds, len(changed) * len(SOURCES))
    ratios = {
        "resolve_to_floor": round(per_step(full)["resolve"] / plain, 2),
        "floor_seconds": round(plain, 2),
        "changed_to_full": round(part_seconds / full_seconds, 3),
    }
    print(json.dumps(ratios))
    if arguments.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
