"""Typed observations: what each row says about every field.

Belongs here: the Arrow table of observations, chunk by chunk, and the temporary table that holds
them. Does not: order, earlier claims (`fold`).

`observed`, one row per row of data: `_key, _changed_at, _as_of, _batch, _row, _digest, _flagged`,
`_again` (to be folded from nothing), links ('' blank, null not observed), and per field `<field>`
(typed), `<field>__cmp` (if it folds), `<field>__said` (null, 0 blank, 1 value, 3 placeholder),
`<field>__raw` (if corrections go there).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.rules import Blank
from sor_pipeline.stage import landed
from sor_pipeline.stage.readings import BLANK, Reader, Reading
from sor_pipeline.stage.rejects import REFUSED, Refusals
from sor_pipeline.stage.staging import Batch, Staging
from sor_pipeline.stage.standard.result import Standard, only_where
from sor_pipeline.stage.standard.times import timestamps
from sor_pipeline.tables import link_column

CHUNK = 250_000
"""Rows in memory at once; a chunk is a range of `_row`, to which a Parquet file can seek."""
CHANGED_AT = "_changed_at"
_FIXED = {
    "_key": pa.string(),
    CHANGED_AT: pa.timestamp("us"),
    "_as_of": pa.timestamp("us"),
    "_batch": pa.string(),
    "_row": pa.int64(),
    "_digest": pa.string(),
    "_flagged": pa.bool_(),
    "_again": pa.bool_(),
}


def said_column(field: str) -> str:
    return f"{field}__said"


def schema(staging: Staging) -> pa.Schema:
    """The shape of `observed`."""
    columns = dict(_FIXED) | {link_column(name): pa.string() for name in staging.links}
    for name, field in staging.fields.items():
        columns[name] = _arrow_type(field)
        columns[said_column(name)] = pa.int16()
        if field.kind.folds:
            columns[f"{name}__cmp"] = pa.string()
        if staging.keeps_raw(name):
            columns[f"{name}__raw"] = pa.string()
    return pa.schema(list(columns.items()))


def nothing_observed(connection: sa.Connection, staging: Staging) -> sa.Table:
    """The temporary table `observed`, empty."""
    engine = staging.run.engine
    empty = engine.scan_arrow(connection, "stage_empty", schema(staging).empty_table())
    return engine.materialise(connection, "stage_observed", sa.select(*empty.c))


def observe(
    connection: sa.Connection,
    staging: Staging,
    rows: sa.Table,
    batches: Sequence[Batch],
    into: sa.Table,
    refusals: Refusals,
    *,
    again: bool = False,
) -> None:
    """Add the observations of `rows` (columns `landed.ROW`, of these batches) to `into`.

    `again`: the rows are the whole history of their keys, few among many; these are folded from nothing.
    """
    engine = staging.run.engine
    texts = landed.Landed(connection, staging, batches, rows if again else None).texts()
    names = schema(staging).names
    for first, last in _chunks(connection, rows):
        select = _texts_of(rows, texts, first, last)
        frame = pl.DataFrame(engine.fetch(connection, select))
        typed, refused = typed_rows(staging, frame, again=again)
        refusals.note(refused)
        relation = engine.scan_arrow(connection, "stage_typed", typed)
        connection.execute(sa.insert(into).from_select(names, sa.select(*(relation.c[name] for name in names))))


def _chunks(connection: sa.Connection, rows: sa.Table) -> Iterator[tuple[int, int]]:
    """First and last `_row` of each chunk; one chunk where all rows fit in it."""
    select = sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(rows.c["_row"]), 0)).select_from(rows)
    count, last = connection.execute(select).fetchall()[0]
    if 0 < count <= CHUNK:
        yield 1, last
    elif count:
        yield from ((first, first + CHUNK - 1) for first in range(1, last + 1, CHUNK))


def _texts_of(rows: sa.Table, texts: sa.Subquery, first: int, last: int) -> Rows:
    """The mapped texts of a range of rows."""
    same = sa.and_(texts.c["_batch"] == rows.c["_batch"], texts.c["_row"] == rows.c["_row"])
    return (
        sa.select(*(rows.c[name] for name in landed.ROW), *(c for c in texts.c if c.name not in landed.ROW))
        .select_from(rows)
        .join(texts, same)
        .where(rows.c["_row"].between(first, last), texts.c["_row"].between(first, last))
    )


def typed_rows(staging: Staging, frame: pl.DataFrame, *, again: bool = False) -> tuple[pa.Table, pl.DataFrame]:
    """Rows of mapped texts as observations (`schema`) and the cells among them that were refused."""
    columns: dict[str, object] = {name: frame[name] for name in ("_key", "_as_of", "_batch", "_row", "_digest")}
    moment = changed_at(staging, frame[landed.CHANGED])
    columns[CHANGED_AT] = pl.select(pl.coalesce(pl.lit(moment.value), pl.lit(frame["_as_of"]))).to_series()
    columns |= {"_flagged": frame[landed.FLAGGED], "_again": pl.repeat(again, len(frame), eager=True)}
    columns |= {link_column(name): frame[link_column(name)] for name in staging.links}
    refused = [_refused(frame, CHANGED_AT, str(staging.spec.changed_at), frame[landed.CHANGED], moment.reason)]
    read: dict[str, Reading] = {}
    for name in _countries_first(staging):
        text = frame[landed.text_column(name)].cast(pl.String)
        country = _country_beside(staging, name)
        reader = Reader(staging.run.ownership, staging.fields[name], staging.mappings[name])
        reading = read[name] = reader.read(text, read[country].value if country else None)
        refused.append(_refused(frame, name, ", ".join(staging.mappings[name].columns), text, reading.reason))
        columns |= _claim_columns(staging, name, reading, text, frame[landed.FLAGGED])
    shape = schema(staging)
    return pa.table([_arrow(columns[column.name], column.type) for column in shape], schema=shape), pl.concat(refused)


def changed_at(staging: Staging, texts: pl.Series) -> Standard:
    """When rows say that they changed; no value where they do not say it, or not readably."""
    spec = staging.spec
    stated = only_where(texts.cast(pl.String), (texts != "").fill_null(False))
    return timestamps(stated, spec.changed_at_format, spec.changed_at_zone)


def _claim_columns(
    staging: Staging, name: str, reading: Reading, text: pl.Series, flagged: pl.Series
) -> dict[str, object]:
    """A row that only says that its record is gone clears nothing, nor does a blank that is to be ignored."""
    hollow = flagged & reading.said.eq_missing(BLANK)
    ignored = staging.fields[name].blank is Blank.ignored
    unsaid = reading.said.eq_missing(BLANK) if ignored else hollow
    columns: dict[str, object] = {name: reading.value, said_column(name): only_where(reading.said, ~unsaid)}
    if staging.fields[name].kind.folds:
        columns[f"{name}__cmp"] = reading.value if reading.compare is None else reading.compare
    if staging.keeps_raw(name):
        columns[f"{name}__raw"] = only_where(text, ~hollow)
    return columns


def _refused(frame: pl.DataFrame, field: str, column: str, text: pl.Series, reason: pl.Series) -> pl.DataFrame:
    if reason.null_count() == len(reason):
        return pl.DataFrame(schema=REFUSED)
    cells = pl.DataFrame(
        {
            "batch": frame["_batch"],
            "row": frame["_row"],
            "source_key": frame["_key"],
            "raw": text.cast(pl.String),
            "reason": reason,
        }
    )
    return (
        cells.filter(pl.col("reason").is_not_null())
        .with_columns(
            pl.lit(field).alias("field"),
            pl.lit(column).alias("column"),
            pl.col("raw").str.replace_all("\x00", "\ufffd"),
        )
        .select(pl.col(name).cast(kind) for name, kind in REFUSED.items())
    )


def _countries_first(staging: Staging) -> list[str]:
    return sorted(staging.fields, key=lambda name: staging.fields[name].type != "country")


def _country_beside(staging: Staging, name: str) -> str | None:
    """The country field that a subdivision lies in: of its own group, else the only one that the source maps."""
    field = staging.fields[name]
    if field.type != "subdivision":
        return None
    countries = [other for other, kind in staging.fields.items() if kind.type == "country"]
    grouped = [other for other in countries if field.group and staging.fields[other].group == field.group]
    return (grouped or countries)[0] if len(grouped or countries) == 1 else None


def _arrow_type(field: Field) -> pa.DataType:
    types = {
        Stored.text: pa.string(),
        Stored.decimal: pa.decimal128(18, field.scale),
        Stored.integer: pa.int64(),
        Stored.boolean: pa.bool_(),
        Stored.date: pa.date32(),
        Stored.timestamp: pa.timestamp("us"),
    }
    return types[field.kind.stored]


def _arrow(column: object, kind: pa.DataType) -> pa.ChunkedArray:
    """Decimals come as texts of exactly the number."""
    if not isinstance(column, pl.Series):
        raise TypeError(type(column).__name__)
    array = column.to_arrow()
    return array.cast(pa.string()).cast(kind) if pa.types.is_decimal(kind) else array.cast(kind)
