"""The marts at size: conformed tables of so many accounts, made directly; then dbt on them.

    python benchmarks/marts.py --accounts 100000 [--folder DIR]

Per account there are 4 contacts, 1.5 deals, 1 subscription, 2 tickets, 20 interactions and 28 days of usage. Prints
seconds per model of a first build and of one after a publication that changed 1 % of the contacts, against a
floor: copying all conformed tables with `CREATE TABLE AS SELECT *`.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path

import duckdb
import sqlalchemy as sa

import sor_pipeline
from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.observe.marts.build import build, hands
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS

PER_ACCOUNT = {
    "account": 1.0, "contact": 4.0, "employee": 0.01, "deal": 1.5, "subscription": 1.0, "ticket": 2.0,
    "interaction": 20.0, "product_usage": 28.0,
}  # fmt: skip
DAY_ONE = "TIMESTAMP '2026-03-01 06:00:00'"


def value(entity: str, name: str, field: Field, sizes: dict[str, int]) -> str:
    """An expression over `n`, the number of the row."""
    if field.to:
        others = sizes[field.to]
        spread = f"n % {others}" if entity == "product_usage" else f"hash(n, '{name}') % {others}"
        return f"'{field.to}_' || ({spread})"
    if isinstance(field.of, tuple):
        codes = ", ".join(f"'{code}'" for code in field.of)
        return f"([{codes}])[1 + (hash(n, '{name}') % {len(field.of)})::INTEGER]"
    if name == "currency":
        return "(['USD', 'EUR', 'GBP'])[1 + (n % 3)::INTEGER]"
    if name == "day":
        return f"DATE '2026-03-01' - (n // {sizes['account']})::INTEGER"
    return {
        Stored.text: f"'{name} ' || n",
        Stored.decimal: f"(hash(n, '{name}') % 100000) / 100",
        Stored.integer: f"hash(n, '{name}') % 500",
        Stored.boolean: f"hash(n, '{name}') % 2 = 0",
        Stored.date: f"DATE '2026-03-01' - (hash(n, '{name}') % 700)::INTEGER",
        Stored.timestamp: f"{DAY_ONE} - to_seconds((hash(n, '{name}') % 60000000)::BIGINT)",
    }[field.kind.stored]


def fill(run: Run, warehouse: Path, accounts: int) -> None:
    """Conformed tables as one publication of all entities would have left them, and a conflict per third account."""
    sizes = {entity: max(1, int(accounts * share)) for entity, share in PER_ACCOUNT.items()}
    with duckdb.connect(str(warehouse)) as connection:
        for entity, spec in run.ownership.entities.items():
            values = ", ".join(f'{value(entity, n, f, sizes)} AS "{n}"' for n, f in spec.fields.items())
            ident = f"{entity}_id"
            made = f"SELECT '{entity}_' || n AS {ident}, {values} FROM range({sizes[entity]}) t(n)"
            connection.execute(f"INSERT INTO conformed.{entity} BY NAME {made}")
            version = f"1 AS from_publication, {DAY_ONE} AS valid_from"
            connection.execute(
                f"INSERT INTO conformed.{entity}_history BY NAME SELECT *, {version} FROM conformed.{entity}"
            )
            said = ", ".join(f"'{spec.owner}' AS \"{n}_system\", 'owner' AS \"{n}_rule\"" for n in spec.fields)
            connection.execute(
                f"INSERT INTO conformed.{entity}_source BY NAME SELECT {ident}, {said} FROM conformed.{entity}"
            )
        connection.execute(
            "INSERT INTO conformed.conflict BY NAME SELECT 'account' AS entity, account_id AS entity_id, "
            "'name' AS field, 'stripe.customers' AS source, account_id AS source_key, 1 AS opened_in, "
            "'differs' AS kind, 'stripe' AS system, 'hubspot' AS owner, 'x' AS claimed, name AS canonical "
            "FROM conformed.account WHERE hash(account_id) % 3 = 0"
        )
        publish(connection, run, 1)


def publish(connection: duckdb.DuckDBPyConnection, run: Run, number: int) -> None:
    at = f"{DAY_ONE} + INTERVAL {number} HOUR"
    connection.execute(
        f"INSERT INTO conformed.publication SELECT {number}, {at}, '{run.ownership.fingerprint}', 0, 0, 0, 0"
    )


def change(run: Run, warehouse: Path) -> None:
    """One contact in a hundred has another title."""
    with duckdb.connect(str(warehouse)) as connection:
        some = "hash(contact_id) % 100 = 0"
        connection.execute(f"UPDATE conformed.contact SET job_title = 'changed' WHERE {some}")
        connection.execute(
            "UPDATE conformed.contact_history SET to_publication = 2, "
            f"valid_to = {DAY_ONE} + INTERVAL 2 HOUR WHERE {some}"
        )
        connection.execute(
            f"INSERT INTO conformed.contact_history BY NAME SELECT *, 2 AS from_publication, "
            f"{DAY_ONE} + INTERVAL 2 HOUR AS valid_from FROM conformed.contact WHERE {some}"
        )
        publish(connection, run, 2)


def export(run: Run) -> None:
    conformed = [table for table in run.tables.metadata.sorted_tables if table.schema == "conformed"]
    run.engine.export(conformed, run.settings.conformed)


def floor(run: Run, folder: Path) -> float:
    """Seconds to copy every conformed table."""
    with duckdb.connect(str(folder / "floor.duckdb")) as connection:
        connection.execute(f"ATTACH '{run.settings.conformed}' AS conformed (READ_ONLY)")
        began = time.perf_counter()
        for table in [one.name for one in run.tables.metadata.sorted_tables if one.schema == "conformed"]:
            connection.execute(f'CREATE TABLE "{table}" AS SELECT * FROM conformed."{table}"')
        connection.execute("CHECKPOINT")
        return time.perf_counter() - began


def cpu() -> float:
    """Processor seconds of dbt, which is a process of its own."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def told(run: Run, title: str) -> None:
    began, began_cpu = time.perf_counter(), cpu()
    built = build(run)
    seconds, busy = time.perf_counter() - began, cpu() - began_cpu
    results = json.loads((run.settings.dbt / "target" / "run_results.json").read_text(encoding="utf-8"))
    took = {one["unique_id"]: one["execution_time"] for one in results["results"]}
    models = {name.split(".")[-1]: each for name, each in took.items() if name.startswith("model.")}
    tests = sum(took.values()) - sum(models.values())
    print(f"{title} (incremental: {built.incremental}): {seconds:.1f} s in all, {busy:.1f} processor seconds;")
    print(f"  in two threads {sum(models.values()):.1f} s of models and {tests:.1f} s of tests")
    for name, each in sorted(models.items(), key=lambda item: -item[1])[:8]:
        print(f"  {name:<22} {each:6.2f} s")
    three = sum(models[name] for name in ("account_360", "contact_360", "customer_360"))
    print(f"  customer_360 with what it is made of: {three:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="sor-marts-"))
    document = Path(sor_pipeline.__file__).parent / "demo" / "ownership.yaml"
    settings = Settings.read({}, ownership=document, home=folder / "home")
    run = hands(load_checked(document), settings)
    assert isinstance(run.engine, DuckDBEngine)
    run.engine.create(run.tables.metadata, SCHEMAS)
    warehouse = Path(str(sa.make_url(settings.warehouse_url).database))
    began = time.perf_counter()
    fill(run, warehouse, options.accounts)
    export(run)
    print(f"{options.accounts:,} accounts made in {time.perf_counter() - began:.1f} s; "
          f"the file has {settings.conformed.stat().st_size / 1e6:.0f} MB")  # fmt: skip
    print(f"floor: every conformed table copied in {floor(run, folder):.1f} s")
    told(run, "first build")
    change(run, warehouse)
    export(run)
    told(run, "after 1 % of the contacts changed")
    if not options.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
