"""Records as similarity reads them: comparable forms of the fields that are compared, over all sources.

Belongs here: the selects over staged tables. Does not: what is made of the texts (`features`).
"""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from sor_pipeline.engine.base import Engine, Expression, Rows, Union
from sor_pipeline.identify.hollow import hollow
from sor_pipeline.tables import ClaimState, Tables, claim


def texts(tables: Tables, entity: str, fields: tuple[str, ...], members: sa.FromClause | None = None) -> Rows | Union:
    """Grain: one live record (node, source, source_key, `<field>__raw` as text, null where the claim is not a value).

    `members`: which records (node, source, source_key); None: all, without a node.
    """
    parts: list[Rows] = []
    for source in tables.ownership.sources_of(entity):
        staged = tables.staged[source]
        columns = [_text(tables, entity, source, field).label(f"{field}__raw") for field in fields]
        named = [sa.literal(source, sa.Text).label("source"), staged.c._key.label("source_key")]
        if members is None:
            select: Rows = sa.select(*named, *columns).where(staged.c._deleted_at.is_(None))
        else:
            mine = sa.and_(members.c.source == source, members.c.source_key == staged.c._key)
            select = (
                sa.select(members.c.node, *named, *columns)
                .select_from(staged.join(members, mine))
                .where(staged.c._deleted_at.is_(None))
            )
        parts.append(select)
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]


def fetched(engine: Engine, connection: sa.Connection, select: Rows | Union) -> pl.DataFrame:
    """The rows of a select, in no order."""
    frame = pl.from_arrow(engine.fetch(connection, select))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _text(tables: Tables, entity: str, source: str, field: str) -> Expression:
    """What means nothing (a role's mailbox, a mask, the digest of nothing) says nothing about who the record is."""
    nothing = sa.cast(sa.null(), sa.Text)
    if field not in tables.ownership.sources[source].fields:
        return nothing
    declared = tables.ownership.entities[entity].fields[field]
    said = claim(tables.staged[source], field)
    text: sa.ColumnElement[str] = sa.cast(said.compare, sa.Text)
    holds = [said.state == ClaimState.value, text != ""]
    doubt = hollow(declared.type, text)
    if doubt is not None:
        holds.append(doubt.is_(None))
    if declared.type == "ref":
        of = tables.ownership.referred_source(source, field) or source
        text = sa.literal(f"{of}:", sa.Text) + text
    return sa.case((sa.and_(*holds), text), else_=nothing)
