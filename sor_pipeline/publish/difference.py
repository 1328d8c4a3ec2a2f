"""What a publication changes: candidates beside what is published, compared cell by cell, nulls included.

Belongs here: the comparison, and the writing of entity and `_source` rows.
Does not: the account of it in `history` and `changes`.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from sor_pipeline.engine.base import Engine, Rows
from sor_pipeline.publish.candidate import LINEAGE, beside, candidate
from sor_pipeline.publish.crosswalk import movements
from sor_pipeline.tables import Tables

ENTERS = ("created", "revived")
VERSIONS = (*ENTERS, "changed")
"""Kinds that put a new version into the entity table; `lineage` puts one into `_source` alone."""


def difference(tables: Tables, entity: str, held: Collection[str], live: sa.Table, looked_at: sa.Table) -> Rows:
    """Grain: one entity of `looked_at` (see `affected`) that will be published otherwise than it is; key entity_id.

    `_kind` is created, revived, changed, retired or lineage (who says so changed, values did not);
    `_cause`, `_moved`, `_joined`, `_lost` say what is known about why; then the candidate's cells.
    """
    after = candidate(tables, entity, held, looked_at).subquery("after")
    moves = movements(tables, entity, live, looked_at).subquery("moves")
    ident = f"{entity}_id"
    value = beside(tables.conformed[entity], looked_at, ident)
    source = beside(tables.sources[entity], looked_at, ident)
    fields = tables.ownership.entities[entity].fields
    present = value.c[ident].is_not(None)
    kind = sa.case(
        (sa.and_(present, sa.not_(after.c._exists)), "retired"),
        (sa.not_(after.c._exists), None),
        (sa.and_(sa.not_(present), _known(tables, entity, after.c.entity_id)), "revived"),
        (sa.not_(present), "created"),
        (sa.or_(*(after.c[name].is_distinct_from(value.c[name]) for name in fields)), "changed"),
        (_lineage_differs(after, source, fields), "lineage"),
    )
    compared = (
        sa.select(
            after.c.entity_id,
            kind.label("_kind"),
            after.c._cause,
            *(sa.func.coalesce(moves.c[flag], sa.false()).label(flag) for flag in ("_moved", "_joined", "_lost")),
            *(after.c[name] for name in fields),
            *(after.c[f"{name}__{part}"] for name in fields for part in LINEAGE),
        )
        .select_from(
            after.outerjoin(value, value.c[ident] == after.c.entity_id)
            .outerjoin(source, source.c[ident] == after.c.entity_id)
            .outerjoin(moves, moves.c.entity_id == after.c.entity_id)
        )
        .subquery("compared")
    )
    return sa.select(compared).where(compared.c._kind.is_not(None))


def _known(tables: Tables, entity: str, entity_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether it was ever published."""
    return entity_id.in_(sa.select(tables.history[entity].c[f"{entity}_id"]))


def _lineage_differs(after: sa.FromClause, source: sa.FromClause, fields: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.or_(
        *(after.c[f"{n}__{part}"].is_distinct_from(source.c[f"{n}_{part}"]) for n in fields for part in LINEAGE)
    )


def write_entities(engine: Engine, connection: sa.Connection, tables: Tables, entity: str, rows: sa.Table) -> None:
    """Bring `conformed.<entity>` and its `_source` to what `rows` (a `difference`) say; retired entities leave both."""
    ident = f"{entity}_id"
    fields = tables.ownership.entities[entity].fields
    value, source = tables.conformed[entity], tables.sources[entity]
    retired = sa.select(rows.c.entity_id).where(rows.c._kind == "retired")
    for table in (value, source):
        connection.execute(sa.delete(table).where(table.c[ident].in_(retired)))
    values = sa.select(rows.c.entity_id.label(ident), *(rows.c[name] for name in fields)).where(
        rows.c._kind.in_(VERSIONS)
    )
    engine.replace(connection, value, values.subquery("versions"), [ident])
    lineage = (rows.c[f"{name}__{part}"].label(f"{name}_{part}") for name in fields for part in LINEAGE)
    says = sa.select(rows.c.entity_id.label(ident), *lineage).where(rows.c._kind != "retired")
    engine.replace(connection, source, says.subquery("says"), [ident])
