"""What stands in a schema of a database: every table's header and first rows, as streams.

Belongs here: which tables are extracts, samples of what they hold. Does not: what it means (`ownership.scaffold`), how
a table is read (`extract.readers`).
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.errors import ExtractRefused
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers.database import DatabaseReader
from sor_pipeline.extract.readers.sessions import session
from sor_pipeline.ownership.scaffold.names import free, snake
from sor_pipeline.ownership.scaffold.sample import Part, Stream
from sor_pipeline.ownership.source import Extract
from sor_pipeline.terminal.samples import ROWS
from sor_pipeline.terminal.survey import Survey

PASSWORD = "${DATABASE_PASSWORD}"
_OF_LOADERS = ("_airbyte", "airbyte_internal", "_dlt", "fivetran_audit", "_sdc", "_fivetran")
_EPOCH = datetime(1970, 1, 1)
_LONGEST = 34


def surveyed_tables(url: str, schema: str) -> Survey:
    """The tables and views of a schema ('': the database's usual one), without those of loaders themselves.

    Raises ExtractRefused where the database cannot be read.
    """
    with session(schema or "the database", Extract(query="-", url=url)) as connection:
        inspector = sa.inspect(connection)
        names = sorted({*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)})
    shown, notes = without_password(url)
    remarks = [*notes]
    streams: list[Stream] = []
    system = snake(
        schema or str(sa.make_url(shown).database or "database").rpartition("/")[2].partition(".")[0], stem="tool"
    )
    for name in (name for name in names if not name.lower().startswith(_OF_LOADERS)):
        table = f"{schema}.{name}" if schema else name
        try:
            part = _part(table, url)
        except ExtractRefused as refusal:
            remarks.append(f"{table}: {refusal.faults[0].what} ({refusal.faults[0].found})")
            continue
        stream = free(snake(name, _LONGEST, "table"), {other.stream for other in streams}, _LONGEST)
        streams.append(Stream(system, stream, "", {}, (part,), table=table, url=shown))
    return Survey(tuple(streams), tuple(remarks))


def without_password(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL as it may be written down, and what to do then."""
    parsed = sa.make_url(url)
    secret = parsed.password or str(parsed.query.get("password", ""))
    if not secret or "${" in secret:
        return url, ()
    hidden = (
        parsed.difference_update_query(["password"])
        .set(password="-sor-")
        .render_as_string(hide_password=False)
        .replace("-sor-", PASSWORD, 1)
    )
    return hidden, (f"the password is not written down: set {PASSWORD[2:-1]} in the environment",)


def _part(table: str, url: str) -> Part:
    """The first rows, in the order in which the database gives them."""
    extract = Extract(table=table, url=url)
    cells: dict[str, tuple[str, ...]] = {}
    rows = 0
    chunks = DatabaseReader().read(Delivery(table, _EPOCH), extract)
    for chunk in chunks:
        part = chunk.rows.slice(0, ROWS)
        for column in chunk.columns:
            cells[column] = cells.get(column, ()) + tuple((text or "").strip() for text in part[column].to_pylist())
        rows += part.num_rows
        if rows:
            break
    return Part(table, cells, rows, rows >= ROWS)
