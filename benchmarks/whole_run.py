"""A whole run at size: 4 sources, 12 fields; full, then with 1 % changed.

    python benchmarks/whole_run.py --records 1000000 [--fresh] [--repeats 3] [--folder DIR]
        [--engine postgresql [--warehouse URL]]

Prints seconds and processor seconds (of all threads; the fairer measure where others use the
machine) per step, records/s, peak memory of the process, and two ratios: resolve of everybody
against a plain `CREATE TABLE AS SELECT *` of the same staged tables, committed, in the same process
(medians of repetitions on a copy of the state), and the 1 % run (median of several days) against the
full one, everything included. With `--fresh` each run has a process of its own, so that all load
Python's modules, from bytecode that was made before; without it the later ones find them loaded.

On PostgreSQL the server is one that is started for it, fsync on, or the one that `--warehouse` names (an
empty database whose user may make others); the server's processor seconds are added where it is on this
machine, and the rate at which landed files are loaded is set against a plain COPY of the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from four_systems import SOURCES, START, document, write_day
from servers import copied, plain_copy, server_cpu, warehouse

from sor_pipeline.flow import STEPS, Passage, Step, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.resolve.step import run as resolve
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings


@dataclass(frozen=True)
class Cost:
    """What something took, in seconds."""

    wall: float
    cpu: float


def measured(url: str, work: Callable[[], object]) -> Cost:
    began, began_cpu = time.perf_counter(), cpu(url)
    work()
    return Cost(time.perf_counter() - began, cpu(url) - began_cpu)


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(one.wall for one in costs), statistics.median(one.cpu for one in costs))


def floor(run: Run) -> Cost:
    """`CREATE TABLE AS SELECT *` over the staged tables, committed to the same warehouse."""

    def copy() -> None:
        with run.engine.begin() as connection:
            for number, table in enumerate(run.tables.staged.values()):
                connection.execute(sa.CreateTableAs(sa.select(table), f"floor_{number}", schema="canonical"))

    cost = measured(run.settings.warehouse_url, copy)
    with run.engine.begin() as connection:
        for number in range(len(run.tables.staged)):
            connection.execute(sa.schema.DropTable(sa.Table(f"floor_{number}", sa.MetaData(), schema="canonical")))
    return cost


def forget_resolved(run: Run) -> None:
    """As before the first resolve."""
    tables = run.tables
    with run.engine.begin() as connection:
        for table in (*tables.canonical.values(), tables.open_conflict, tables.canonical_state, tables.affected):
            connection.execute(sa.delete(table))


def cpu(url: str) -> float:
    """Processor seconds so far, of all threads and of the warehouse's server."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + (0.0 if url.startswith("duckdb") else server_cpu(url))


def clocked(step: Step, spent: dict[str, float]) -> Step:
    """The step, adding its processor seconds to `spent`."""

    def run(run: Run, scope: str, work: Callable[[Run, str], Outcome] = step.run) -> Outcome:
        url = run.settings.warehouse_url
        began = cpu(url)
        try:
            return work(run, scope)
        finally:
            spent[step.name] = spent.get(step.name, 0.0) + cpu(url) - began

    return replace(step, run=run)


def timed(title: str, ownership: Ownership, settings: Settings, day: int, records: int) -> dict[str, float]:
    """One run, opening and closing the warehouse included; seconds by step, and of the `run`."""
    spent: dict[str, float] = {}
    began, began_cpu = time.perf_counter(), cpu(settings.warehouse_url)
    with opened(ownership, settings, START + timedelta(days=day)) as run:
        passage = pass_through(run, tuple(clocked(step, spent) for step in STEPS))
    whole = {"run": time.perf_counter() - began, "cpu": cpu(settings.warehouse_url) - began_cpu}
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


def one_run(phase: str, folder: Path, arguments: argparse.Namespace, day: int) -> dict[str, float]:
    """The run after the extracts of that day (0: everybody's)."""
    if phase == "full":
        return timed("full run", document(), state(folder, arguments.warehouse), 1, arguments.records)
    records = int(arguments.records * arguments.changed)
    return timed(f"{arguments.changed:.0%} run", document(), state(folder, arguments.warehouse), day + 1, records)


def state(folder: Path, url: str = "") -> Settings:
    named = {"SOR_WAREHOUSE_URL": url} if url else {}
    return Settings.read(
        named, ownership=folder / "ownership.yaml", home=folder / "state", extracts=folder / "extracts"
    )


def against_floor(folder: Path, url: str, repeats: int) -> None:
    """Prints how often the floor fits into resolving everybody; on a copy of the state, which nobody uses again."""
    apart = folder / "apart"
    shutil.copytree(state(folder).home, apart / "state")
    took: dict[str, list[Cost]] = {"resolve": [], "floor": []}
    with copied(url) if url else nullcontext("") as copy:
        here = state(apart, copy)
        for _ in range(repeats):
            with opened(document(), here, START + timedelta(days=1)) as run:
                forget_resolved(run)
            with opened(document(), here, START + timedelta(days=1)) as run:
                took["resolve"].append(measured(here.warehouse_url, partial(resolve, run, "contact")))
                took["floor"].append(floor(run))
        if url:
            loading(here, repeats)
    shutil.rmtree(apart)
    mine, plain = median(took["resolve"]), median(took["floor"])
    for name, one in (("resolve", mine), ("floor", plain)):
        print(f"  {name:<9} {one.wall:7.2f} s {one.cpu:7.2f} s cpu (median of {repeats}, of everybody)")
    ratios = {"resolve_to_floor": mine.wall / plain.wall, "resolve_to_floor_cpu": mine.cpu / plain.cpu}
    print(json.dumps({name: round(ratio, 2) for name, ratio in ratios.items()}), flush=True)
    (folder / "floor.json").write_text(json.dumps(asdict(plain)))


def loading(settings: Settings, repeats: int) -> None:
    """Prints rows per second of landed files on their way in, against a plain COPY of the same rows."""
    rates: dict[str, list[float]] = {"load": [], "copy": []}
    with opened(document(), settings, START + timedelta(days=1)) as run:
        for _ in range(repeats):
            for source in SOURCES:
                files = sorted((settings.home / "landing" / source).glob("*.parquet"))
                with run.engine.begin() as connection:
                    rows, seconds = plain_copy(connection, files)
                    began = time.perf_counter()
                    run.engine.scan_parquet(connection, files)
                    rates["load"].append(rows / (time.perf_counter() - began))
                    rates["copy"].append(rows / seconds)
    load, copy = (statistics.median(rates[name]) for name in ("load", "copy"))
    print(f"  loading   {load:,.0f} rows/s, a plain COPY {copy:,.0f} rows/s")
    print(json.dumps({"load_to_copy": round(load / copy, 2)}), flush=True)


def fresh(phase: str, arguments: argparse.Namespace, folder: Path, day: int) -> dict[str, float]:
    """One of the runs in a process of its own: seconds from its start, Python's included, to the run's end."""
    told = ["--records", str(arguments.records), "--changed", str(arguments.changed), "--folder", str(folder)]
    told += ["--repeats", str(arguments.repeats), "--only", phase, "--day", str(day), "--since", str(time.time())]
    if arguments.warehouse:
        told += ["--warehouse", arguments.warehouse, "--server-since", str(server_cpu(arguments.warehouse))]
    subprocess.run([sys.executable, __file__, *told], check=True, env=remembering(folder))
    took: dict[str, float] = json.loads((folder / f"{phase}.json").read_text())
    print(f"  its whole process: {took['run']:.2f} s, {took['cpu']:.2f} s cpu", flush=True)
    return took


def remembering(folder: Path) -> dict[str, str]:
    """An environment in which bytecode is kept, whatever ours says: an installation has it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="source records over all four sources")
    parser.add_argument("--changed", type=float, default=0.01, help="share that changes in the second run")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--fresh", action="store_true", help="each run in a process of its own")
    parser.add_argument("--repeats", type=int, default=3, help="of resolve and its floor, and of the second run")
    parser.add_argument("--only", choices=("full", "changed"), help=argparse.SUPPRESS)
    parser.add_argument("--day", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--since", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--engine", choices=("duckdb", "postgresql"), default="duckdb")
    parser.add_argument("--warehouse", default="", help="URL of an empty database (default: a server is started)")
    parser.add_argument("--server-since", type=float, default=0.0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="sor-benchmark-"))
    if arguments.only:
        one_run(arguments.only, folder, arguments, arguments.day)
        used = cpu(arguments.warehouse or "duckdb:") - arguments.server_since
        whole = {"run": time.time() - arguments.since, "cpu": used}
        (folder / f"{arguments.only}.json").write_text(json.dumps(whole))
        if arguments.only == "full":
            against_floor(folder, arguments.warehouse, arguments.repeats)
        return
    with warehouse(arguments.engine, arguments.warehouse) as arguments.warehouse:
        all_days(folder, arguments)
    if arguments.folder is None:
        shutil.rmtree(folder)


def all_days(folder: Path, arguments: argparse.Namespace) -> None:
    """The full run, then the days of little change."""
    entities = np.arange(arguments.records // len(SOURCES))
    if arguments.fresh:
        warm = [sys.executable, "-c", "import great_expectations, sor_pipeline.flow"]
        subprocess.run(warm, check=True, env=remembering(folder))
    took: dict[str, list[Cost]] = {"full": [], "changed": []}
    for day in range(1 + arguments.repeats):
        phase = "changed" if day else "full"
        some = np.random.default_rng(day).choice(entities, int(len(entities) * arguments.changed), replace=False)
        write_day(folder / "extracts", day, some if day else entities)
        run = fresh(phase, arguments, folder, day) if arguments.fresh else one_run(phase, folder, arguments, day)
        took[phase].append(Cost(run["run"], run["cpu"]))
        if phase == "full" and not arguments.fresh:
            against_floor(folder, arguments.warehouse, arguments.repeats)
    whole_run, part = took["full"][0], median(took["changed"])
    print(f"  {'changed':<9} {part.wall:7.2f} s {part.cpu:7.2f} s cpu (median of {arguments.repeats})")
    plain = Cost(**json.loads((folder / "floor.json").read_text()))
    ratios = {"full_to_floor": whole_run.wall / plain.wall, "full_to_floor_cpu": whole_run.cpu / plain.cpu}
    ratios |= {"changed_to_floor": part.wall / plain.wall, "changed_to_floor_cpu": part.cpu / plain.cpu}
    ratios |= {"changed_to_full": part.wall / whole_run.wall, "changed_to_full_cpu": part.cpu / whole_run.cpu}
    print(json.dumps({name: round(ratio, 3) for name, ratio in ratios.items()}))


if __name__ == "__main__":
    main()
