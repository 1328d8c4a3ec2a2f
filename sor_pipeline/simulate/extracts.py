"""What the targets stored, as their next extract would say it.

Belongs here: texts read as `stage` reads them, put on the staged records. Does not: what the targets store (`models`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from sor_pipeline.run import Run
from sor_pipeline.stage.readings import BLANK, PLACEHOLDER, VALUE, Reader
from sor_pipeline.tables import ClaimState, claim, stored_type


def delivered(run: Run, told: pl.DataFrame) -> None:
    """Every target acknowledged what it was told; `told` has the key columns of `outbound.correction`."""
    key = ["source", "source_key", "field", "proposed_in"]
    correction, attempt = run.tables.correction, run.tables.attempt
    with run.engine.begin() as connection:
        rows = run.engine.scan_arrow(connection, "told", told.select(*key, "system").to_arrow())
        same = sa.exists().where(*(rows.c[name] == correction.c[name] for name in key))
        connection.execute(sa.update(correction).where(same.correlate(correction)).values(state="delivered"))
        tries = sa.select(sa.func.count()).where(*(attempt.c[name] == rows.c[name] for name in key)).scalar_subquery()
        values = [*(rows.c[name] for name in (*key, "system")), tries + 1, sa.literal(run.now), sa.literal("accepted")]
        connection.execute(
            sa.insert(attempt).from_select([*key, "system", "attempt", "at", "outcome"], sa.select(*values))
        )


def say(run: Run, stored: pl.DataFrame) -> None:
    """Put what was stored (source, source_key, field, text) on the staged records, as an extract of `run.now`."""
    for (source, field), cells in stored.group_by(["source", "field"], maintain_order=True):
        _say(run, str(source), str(field), cells)
    with run.engine.begin() as connection:
        pending = run.pending(connection)
        name = f"simulated-{run.now:%Y%m%d%H%M%S}"
        for source in run.ownership.sources:
            seen: dict[str, Any] = {"source": source, "batch": name, "_publication": pending}
            connection.execute(sa.insert(run.tables.batch).values(**seen, as_of=run.now, rows=0, bad_rows=0))
            connection.execute(sa.insert(run.tables.account).values(**seen))


def _say(run: Run, source: str, field: str, cells: pl.DataFrame) -> None:
    """Where the target's text cannot be read, the claim stays as it was, and only the text is another."""
    spec = run.ownership.sources[source]
    declared, staged = run.ownership.entities[spec.entity].fields[field], run.tables.staged[source]
    reading = Reader(run.ownership, declared, spec.fields[field]).read(cells["text"])
    compare = reading.value if reading.compare is None else reading.compare
    texts = cells.select("source_key", "text").with_columns(
        said=reading.said, value=reading.value.cast(pl.String), form=compare.cast(pl.String)
    )
    with run.engine.begin() as connection:
        pending = run.pending(connection)
        told = run.engine.scan_arrow(connection, "said", texts.to_arrow())
        values = _values(claim(staged, field), told, stored_type(declared), run.now)
        named = {field: "value", f"{field}__cmp": "compare", f"{field}__state": "state", f"{field}__since": "since"}
        columns = {name: values[part] for name, part in named.items() if name in staged.c}
        columns |= {f"{field}__raw": told.c.text, "_changed_at": sa.literal(run.now)}
        columns["_publication"] = sa.literal(pending, sa.BigInteger)
        connection.execute(sa.update(staged).where(staged.c._key == told.c.source_key).values(columns))


def _values(was: Any, told: sa.FromClause, kind: sa.types.TypeEngine[Any], now: datetime) -> dict[str, Any]:
    """The claim after it was told `text`: as `stage.fold` has it of one observation."""
    silent, valued = told.c.said.is_(None), told.c.said == VALUE
    held = was.state.in_((int(ClaimState.value), int(ClaimState.cleared)))
    blank = sa.case((held, int(ClaimState.cleared)), else_=int(ClaimState.never))
    state = sa.case(
        (silent, was.state), (told.c.said == BLANK, blank), (told.c.said == PLACEHOLDER, int(ClaimState.placeholder)),
        else_=int(ClaimState.value),
    )  # fmt: skip
    value = sa.case((silent, was.value), (valued, sa.cast(told.c.value, kind)))
    compare = sa.case((silent, was.compare), (valued, sa.cast(told.c.form, was.compare.type)))
    kept = sa.and_(was.state == state, was.compare.is_not_distinct_from(compare))
    return {
        "value": value,
        "compare": compare,
        "state": state,
        "since": sa.case((kept, was.since), else_=sa.literal(now)),
    }
