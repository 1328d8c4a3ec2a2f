"""Which records of a target are compared again.

Belongs here: what changed since it was last compared, and what waits for something that leaves no mark on a
record. Does not: the comparison itself (`wanted`).
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.correct.wanted import Target, crosswalk, unsettled_cells
from sor_pipeline.engine.base import Rows, Union

GRACE = 2
"""Extracts that a target has, after it accepted a correction, to show what became of it."""
RETRY = "retry"
"""How a person closes a case after which a cell is to be tried again."""


def touched(target: Target, since: int, due: datetime | None) -> Rows:
    """Grain: one record to compare (source_key, entity_id: null where it is not published).

    It, its identity, its entity, or the keys of what that refers to changed after publication
    `since`. Also what waits for the release of a value on hold, which leaves no mark on the record; what was
    delivered before `due`; what the tool held otherwise; what a person wants to be tried again; and where references
    are corrected what has an open correction: a record referred to may have gone.
    """
    tables, entity = target.tables, target.entity
    staged, identity = tables.staged[target.source], tables.identity[entity]
    canonical, change, keys = tables.canonical[entity], tables.change, crosswalk(target).subquery("keys")
    resolved = [
        sa.select(canonical.c.entity_id).where(canonical.c._publication > since),
        sa.select(change.c.entity_id).where(change.c.entity == entity, change.c.publication > since),
    ]
    for name, field in target.fields.items():
        if field.to:
            news = _keyed_anew(target, name, field.to, since)
            resolved.append(sa.select(canonical.c.entity_id).where(canonical.c[name].in_(news)))
    ids = sa.union_all(*resolved).subquery("resolved")
    moved = sa.select(identity.c.source_key).where(identity.c.source == target.source, identity.c._publication > since)
    found = [
        sa.select(staged.c._key.label("source_key")).where(staged.c._publication > since),
        moved,
        sa.select(keys.c.source_key).where(keys.c.entity_id.in_(sa.select(ids.c.entity_id))),
    ]
    wait = tables.correction_wait
    found.append(sa.select(wait.c.source_key).where(wait.c.source == target.source))
    found += [*_tried_again(target, since), _found_otherwise(target, since)]
    if due is not None:
        found.append(sa.select(overdue(target, due).subquery("overdue").c.source_key))
    if any(field.to for field in target.fields.values()):
        found.append(sa.select(unsettled_cells(target).subquery("opened").c.source_key))
    every = sa.union(*found).subquery("every")
    joined = every.outerjoin(keys, keys.c.source_key == every.c.source_key)
    return sa.select(every.c.source_key, keys.c.entity_id).select_from(joined)


def _keyed_anew(target: Target, name: str, to: str, since: int) -> Union:
    """Grain: one entity that a record joined, or of which the target's own record came, went or changed."""
    identity, referred = target.tables.identity[to], target.tables.ownership.referred_source(target.source, name)
    staged = target.tables.staged[str(referred)]
    own = sa.and_(identity.c.source == referred, identity.c.source_key == staged.c._key)
    return sa.union(
        sa.select(identity.c.entity_id).where(identity.c._publication > since),
        sa.select(identity.c.entity_id).join(staged, own).where(staged.c._publication > since),
    )


def _tried_again(target: Target, since: int) -> list[Rows]:
    """Grain: one record of which a person wants a cell to be written again."""
    broken, case = target.tables.broken, target.tables.case
    return [
        sa.select(broken.c.source_key).where(broken.c.source == target.source, broken.c.ended_in >= since),
        sa.select(case.c.source_key).where(
            case.c.source == target.source,
            case.c.kind == "refused_correction",
            case.c.outcome == RETRY,
            case.c.closed_in >= since,
        ),
    ]


def _found_otherwise(target: Target, since: int) -> Rows:
    """Grain: one record of which the tool held something else than was observed when a correction came, and of which
    an extract is newer than that: what was held then may be gone again, and leave no mark on the record.
    """
    attempt, batch, account = target.tables.attempt, target.tables.batch, target.tables.account
    correction = target.tables.correction
    later = correction.alias("later")
    of_cell = (later.c[name] == correction.c[name] for name in ("source", "source_key", "field"))
    newer = sa.exists().where(later.c.proposed_in > correction.c.proposed_in, *of_cell)
    key = ("source", "source_key", "field", "proposed_in")
    same = sa.and_(account.c.source == batch.c.source, account.c.batch == batch.c.batch)
    newest = (
        sa.select(sa.func.max(batch.c.as_of))
        .join(account, same)
        .where(batch.c.source == target.source, account.c._publication > since)
        .scalar_subquery()
    )
    return (
        sa.select(correction.c.source_key)
        .join(attempt, sa.and_(*(attempt.c[name] == correction.c[name] for name in key)))
        .where(correction.c.source == target.source, correction.c.state == "superseded", ~newer.correlate(correction))
        .where(attempt.c.outcome == "superseded", attempt.c.at < newest)
    )


def overdue(target: Target, due: datetime) -> Rows:
    """Grain: one correction that the target accepted before `due`, and that is still open (source_key, field)."""
    correction, attempt = target.tables.correction, target.tables.attempt
    key = ("source", "source_key", "field", "proposed_in")
    accepted = sa.exists().where(
        attempt.c.outcome == "accepted", attempt.c.at < due, *(attempt.c[name] == correction.c[name] for name in key)
    )
    return sa.select(correction.c.source_key, correction.c.field).where(
        correction.c.source == target.source, correction.c.state == "delivered", accepted
    )


def due_by(target: Target) -> Rows:
    """One time or none: what was accepted before it has since had GRACE extracts to show itself."""
    batch, account = target.tables.batch, target.tables.account
    same = sa.and_(account.c.source == batch.c.source, account.c.batch == batch.c.batch)
    times = sa.select(batch.c.as_of).join(account, same).where(batch.c.source == target.source).distinct()
    return times.order_by(batch.c.as_of.desc()).limit(1).offset(GRACE - 1)
