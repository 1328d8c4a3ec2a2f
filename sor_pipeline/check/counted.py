"""Expectations that are counted here, without Great Expectations: they are about deliveries, not canonical rows.

Belongs here: freshness of sources, cells that could not be read, claims that are placeholders.
Does not: anything that reads canonical rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from sor_pipeline.check.suite import PLACEHOLDERS, Expected
from sor_pipeline.check.validate import Result
from sor_pipeline.engine.base import Rows
from sor_pipeline.run import Run
from sor_pipeline.tables import NO_FIELD, ClaimState, claim

_PATIENCE = 2
"""A source is late when it missed more than one delivery: one may be on its way."""


def counted(run: Run, connection: sa.Connection, expected: Sequence[Expected], pending: int) -> list[Result]:
    """Results of the expectations that name no type."""
    fresh = [_fresh(run, connection, one) for one in expected if one.rule == "freshness"]
    real = [_real(run, connection, one) for one in expected if one.rule == PLACEHOLDERS]
    return fresh + real + _rejected(run, connection, [one for one in expected if one.rule == "rejected"], pending)


def _fresh(run: Run, connection: sa.Connection, expected: Expected) -> Result:
    batch = run.tables.batch
    newest = connection.execute(
        sa.select(sa.func.max(batch.c.as_of)).where(batch.c.source == expected.arguments["source"])
    ).scalar_one()
    passed = newest is not None and newest >= run.now - _PATIENCE * timedelta(seconds=expected.arguments["seconds"])
    return Result(expected, passed, 1, int(not passed))


def _real(run: Run, connection: sa.Connection, expected: Expected) -> Result:
    """Live claims that are placeholders, of all sources of the entity; says how many of which field."""
    tables, found, checked = run.tables, Counter[str](), 0
    rows: list[Rows] = []
    for source, spec in run.ownership.sources_of(expected.entity).items():
        staged, identity = tables.staged[source], tables.identity[expected.entity]
        marks = {name: claim(staged, name).state == int(ClaimState.placeholder) for name in spec.fields}
        if not marks:
            continue
        counts = (sa.func.count().filter(mark).label(name) for name, mark in marks.items())
        number = sa.func.count().label("_live")
        live = staged.c["_deleted_at"].is_(None)
        told = connection.execute(sa.select(number, *counts).where(live)).mappings().one()
        checked += told["_live"] * len(marks)
        found.update({name: told[name] for name in marks if told[name]})
        own = sa.and_(identity.c.source == source, identity.c.source_key == staged.c["_key"])
        rows.append(sa.select(identity.c.entity_id).join(staged, own).where(live, sa.or_(*marks.values())))
    failed = found.total()
    if not failed:
        return Result(expected, True, checked, 0)
    by_field = ", ".join(f"{name} {count:,}" for name, count in found.most_common())
    message = f"{failed:,} of {checked:,} claims are placeholders and count as never set: {by_field}"
    failing = sa.union(*rows).subquery("failing")
    return Result(expected, False, checked, failed, rows=sa.select(failing.c.entity_id), told=message)


def _rejected(run: Run, connection: sa.Connection, expected: Sequence[Expected], pending: int) -> list[Result]:
    """Cells rejected since the last publication, of all sources of the entity."""
    if not expected:
        return []
    reject, account = run.tables.reject, run.tables.account
    sources = list(run.ownership.sources_of(expected[0].entity))
    of_entity = (reject.c.source.in_(sources), reject.c["_publication"] == pending)
    per_field = (
        sa.select(reject.c.field, sa.func.count())
        .where(*of_entity, reject.c.field != NO_FIELD)
        .group_by(reject.c.field)
    )
    cells = {field: int(count) for field, count in connection.execute(per_field).fetchall()}
    read = sa.select(sa.func.coalesce(sa.func.sum(account.c.read), 0))
    checked = int(
        connection.execute(read.where(account.c.source.in_(sources), account.c["_publication"] == pending)).scalar_one()
    )
    return [
        _unread(run, one, cells.get(one.field, 0), max(checked, cells.get(one.field, 0)), of_entity) for one in expected
    ]


def _unread(
    run: Run, expected: Expected, failed: int, checked: int, of_entity: tuple[sa.ColumnElement[bool], ...]
) -> Result:
    if not failed:
        return Result(expected, True, checked, 0)
    reject, identity = run.tables.reject, run.tables.identity[expected.entity]
    same = sa.and_(identity.c.source == reject.c.source, identity.c.source_key == reject.c.source_key)
    joined = reject.join(identity, same)
    rows = sa.select(identity.c.entity_id).select_from(joined).where(*of_entity, reject.c.field == expected.field)
    return Result(expected, False, checked, failed, rows=rows)
