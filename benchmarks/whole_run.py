"""A whole run at size: 4 sources, 12 fields; full, then with 1 % changed.

    python benchmarks/whole_run.py --records 1000000 [--fresh] [--folder DIR]

Prints seconds and processor seconds (of all threads; the fairer measure where others use the
machine) per step, records/s, peak memory of the process, and two ratios: resolve against a plain
`CREATE TABLE AS SELECT *` of the same staged tables in the same process, and the 1 % run against
the full one, everything included. With `--fresh` either run has a process of its own, so that both
load Python's modules (Great Expectations alone takes seconds); without it the second finds them loaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from sor_pipeline.flow import STEPS, Passage, Step, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome, Run
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


def cpu(who: int = resource.RUSAGE_SELF) -> float:
    """Processor seconds so far, of all threads."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def clocked(step: Step, spent: dict[str, float]) -> Step:
    """The step, adding its processor seconds to `spent`."""

    def run(run: Run, scope: str, work: Callable[[Run, str], Outcome] = step.run) -> Outcome:
        began = cpu()
        try:
            return work(run, scope)
        finally:
            spent[step.name] = spent.get(step.name, 0.0) + cpu() - began

    return replace(step, run=run)


def timed(title: str, ownership: Ownership, settings: Settings, day: int, records: int) -> dict[str, float]:
    """One run, opening and closing the warehouse included; seconds by step, and of the `run`."""
    spent: dict[str, float] = {}
    began, began_cpu = time.perf_counter(), cpu()
    with opened(ownership, settings, START + timedelta(days=day)) as run:
        passage = pass_through(run, tuple(clocked(step, spent) for step in STEPS))
    whole = {"run": time.perf_counter() - began, "cpu": cpu() - began_cpu}
    steps = per_step(passage)
    print(f"{title}: {whole['run']:.1f} s, {records / whole['run']:,.0f} records/s, state {passage.state}")
    for step, took in steps.items():
        print(f"  {step:<9} {took:7.2f} s {spent[step]:7.2f} s cpu")
    print(f"  {'in all':<9} {whole['run']:7.2f} s {whole['cpu']:7.2f} s cpu")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB", flush=True)
    for fault in passage.faults[:3]:
        print(fault)
    return {**steps, **whole}


def per_step(passage: Passage) -> dict[str, float]:
    steps: dict[str, float] = {}
    for one in passage.done:
        steps[one.step] = steps.get(one.step, 0.0) + one.seconds
    return steps


def full(folder: Path, records: int) -> dict[str, float]:
    return timed("full run", document(), state(folder), 1, records)


def changed(folder: Path, records: int, share: float) -> dict[str, float]:
    return timed(f"{share:.0%} run", document(), state(folder), 2, int(records * share))


def state(folder: Path) -> Settings:
    return Settings.read({}, ownership=folder / "ownership.yaml", home=folder / "state", extracts=folder / "extracts")


def against_floor(folder: Path, resolve: float) -> None:
    """Prints how often the floor fits into the seconds of resolve, which ran in this process."""
    with opened(document(), state(folder), START + timedelta(days=1)) as run:
        plain = min(floor(run) for _ in range(3))
    print(json.dumps({"resolve_to_floor": round(resolve / plain, 2), "floor_seconds": round(plain, 2)}), flush=True)


def fresh(phase: str, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One of the two runs in a process of its own: seconds from its start, Python's included, to the run's end."""
    told = ["--records", str(arguments.records), "--changed", str(arguments.changed), "--folder", str(folder)]
    subprocess.run([sys.executable, __file__, *told, "--only", phase, "--since", str(time.time())], check=True)
    took: dict[str, float] = json.loads((folder / f"{phase}.json").read_text())
    print(f"  its whole process: {took['run']:.2f} s, {took['cpu']:.2f} s cpu", flush=True)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="source records over all four sources")
    parser.add_argument("--changed", type=float, default=0.01, help="share that changes in the second run")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--fresh", action="store_true", help="each run in a process of its own")
    parser.add_argument("--only", choices=("full", "changed"), help=argparse.SUPPRESS)
    parser.add_argument("--since", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="sor-benchmark-"))
    runs = {
        "full": lambda: full(folder, arguments.records),
        "changed": lambda: changed(folder, arguments.records, arguments.changed),
    }
    took: dict[str, dict[str, float]] = {}
    if arguments.only:
        steps = runs[arguments.only]()
        whole = {"run": time.time() - arguments.since, "cpu": cpu()}
        (folder / f"{arguments.only}.json").write_text(json.dumps(whole))
        if arguments.only == "full":
            against_floor(folder, steps["resolve"])
        return
    entities = np.arange(arguments.records // len(SOURCES))
    some = np.random.default_rng(1).choice(entities, int(len(entities) * arguments.changed), replace=False)
    for day, (phase, among) in enumerate((("full", entities), ("changed", some))):
        write_day(folder / "extracts", day, among)
        took[phase] = fresh(phase, arguments, folder) if arguments.fresh else runs[phase]()
        if phase == "full" and not arguments.fresh:
            against_floor(folder, took[phase]["resolve"])
    ratios = {name: round(took["changed"][name] / took["full"][name], 3) for name in ("run", "cpu")}
    print(json.dumps({"changed_to_full": ratios["run"], "changed_to_full_cpu": ratios["cpu"]}))
    if arguments.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
