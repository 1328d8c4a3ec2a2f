"""What a person must look at: pairs that similarity is not sure of, and merges that the document's limits stopped.

Belongs here: opening cases, and closing those that settled. Does not: deciding them (`steward`).

A case is named after its kind and its two records, so whoever finds it again finds the same one. It closes
by itself, with what became of the records: linked, unlinked (by a decision), or gone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.identify.decided import PAIR, in_force
from sor_pipeline.identify.work import Work

_TOLD = ("rule", "weight", "evidence")


def write_cases(work: Work, scope: sa.Table, stopped: sa.Table, *, whole: bool) -> None:
    """Bring `steward.case` to what holds of the records of `scope` (all of them where `whole`).

    `stopped`: one row per merge that was stopped (PAIR, kind, rule, weight, evidence). Reads ids as they are now.
    """
    case = work.tables.case
    wanted = work.keep("wanted", sa.union_all(_limited(work, stopped), _in_doubt(work, scope, whole=whole)))
    mine = sa.select(case).where(case.c.entity == work.entity, case.c.left_source.is_not(None))
    if not whole:
        mine = mine.where(sa.or_(_side(case, scope, "left"), _side(case, scope, "right")))
    known = work.keep("known_case", mine)
    nothing, now = sa.cast(sa.null(), sa.BigInteger), sa.literal(work.pending, sa.BigInteger)
    still = sa.or_(known.c.closed_in.is_(None), known.c.closed_in == work.pending)
    taken_up = sa.and_(known.c.case_id.is_not(None), still)
    given = ("field", "system", "source", "source_key", "steward", "due_at", "level")
    opened = sa.select(
        *(wanted.c[name] for name in ("case_id", "entity", "kind", *PAIR, *_TOLD)),
        sa.case((taken_up, known.c.opened_in), else_=now).label("opened_in"),
        nothing.label("closed_in"),
        sa.cast(sa.null(), sa.Text).label("outcome"),
        *(sa.case((taken_up, known.c[name])).label(name) for name in given),
    ).select_from(wanted.outerjoin(known, known.c.case_id == wanted.c.case_id))
    as_before = sa.and_(known.c.closed_in.is_(None), *(known.c[n].is_not_distinct_from(wanted.c[n]) for n in _TOLD))
    changed = opened.where(sa.or_(known.c.case_id.is_(None), sa.not_(as_before)))
    work.put(case, work.keep("opened", changed), "case_id")
    _close(work, known, wanted)


def may_have_cases(work: Work) -> bool:
    """Whether any pair or known case could want a look."""
    case, pair = work.tables.case, work.tables.pair[work.entity]
    of_pairs = sa.and_(case.c.entity == work.entity, case.c.left_source.is_not(None))
    return work.any(sa.select(case.c.case_id).where(of_pairs)) or work.any(
        sa.select(pair.c.verdict).where(pair.c.verdict == "review")
    )


def _side(table: sa.FromClause, scope: sa.FromClause, side: str) -> sa.ColumnElement[bool]:
    same = sa.and_(table.c[f"{side}_source"] == scope.c.source, table.c[f"{side}_key"] == scope.c.source_key)
    return sa.exists().where(same).correlate(table)


def _case(work: Work, rows: sa.FromClause, kind: sa.ColumnElement[str], told: list[Any]) -> sa.Select[Any]:
    parts = [sa.literal(f"{work.entity}|", sa.Text), kind]
    for name in PAIR:
        parts += [sa.literal("|", sa.Text), rows.c[name]]
    text = parts[0]
    for part in parts[1:]:
        text = text + part
    return sa.select(
        sa.func.substr(sa.func.md5(text), 1, 16, type_=sa.Text).label("case_id"),
        sa.literal(work.entity, sa.Text).label("entity"),
        kind.label("kind"),
        *(rows.c[name] for name in PAIR),
        *told,
    )


def _limited(work: Work, stopped: sa.Table) -> sa.Select[Any]:
    return _case(work, stopped, stopped.c.kind, [stopped.c[name] for name in _TOLD])


def _in_doubt(work: Work, scope: sa.Table, *, whole: bool) -> sa.Select[Any]:
    """Pairs of two entities that similarity wants reviewed and nobody has decided."""
    written, known = work.tables.pair[work.entity], work.identity
    decided = in_force(work).subquery("decided")
    about = sa.true() if whole else sa.or_(_side(written, scope, "left"), _side(written, scope, "right"))
    said = sa.exists().where(*(decided.c[name] == written.c[name] for name in PAIR)).correlate(written)
    # One side after the other: a planner that sees both at once may compare all records with all.
    left = sa.select(written, known.c.entity_id.label("left_id")).where(
        written.c.verdict == "review",
        about,
        sa.not_(said),
        known.c.source == written.c.left_source,
        known.c.source_key == written.c.left_key,
    )
    half = work.keep("doubted", left)
    both = sa.select(half, known.c.entity_id.label("right_id")).where(
        known.c.source == half.c.right_source, known.c.source_key == half.c.right_key
    )
    pair = work.keep("in_doubt", both)
    evidence = (
        sa.literal('{"probability": ', sa.Text) + sa.cast(sa.cast(pair.c.probability, sa.Numeric(10, 6)), sa.Text)
        + sa.literal(', "levels": ', sa.Text) + sa.func.coalesce(pair.c.levels, "null")
        + sa.literal(', "veto": ', sa.Text)
        + sa.func.coalesce(sa.literal('"', sa.Text) + _escaped(pair.c.veto) + sa.literal('"', sa.Text), "null")
        + sa.literal("}", sa.Text)
    )  # fmt: skip
    told = [sa.literal("similar", sa.Text).label("rule"), pair.c.weight, evidence.label("evidence")]
    return _case(work, pair, sa.literal("review", sa.Text), told).where(pair.c.left_id != pair.c.right_id)


def _escaped(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.func.replace(sa.func.replace(text, "\\", "\\\\"), '"', '\\"', type_=sa.Text)


def _close(work: Work, known: sa.Table, wanted: sa.Table) -> None:
    """Close the open ones of `known` that are not wanted any more; those that nobody could see yet leave no trace."""
    case = work.tables.case
    settled = sa.select(known).where(
        known.c.closed_in.is_(None), known.c.case_id.not_in(sa.select(wanted.c.case_id))
    ).subquery("settled")  # fmt: skip
    one, other = work.identity.alias("one"), work.identity.alias("other")
    decided = in_force(work).subquery("decided")
    together = (
        sa.exists()
        .where(
            one.c.source == settled.c.left_source,
            one.c.source_key == settled.c.left_key,
            other.c.source == settled.c.right_source,
            other.c.source_key == settled.c.right_key,
            one.c.entity_id == other.c.entity_id,
        )
        .correlate(settled)
    )
    unlinked = (
        sa.exists()
        .where(*(decided.c[name] == settled.c[name] for name in PAIR), decided.c.kind == "unlink")
        .correlate(settled)
    )
    outcome = sa.case((unlinked, "unlinked"), (together, "linked"), else_="gone")
    rows = work.keep(
        "closed",
        sa.select(
            *(settled.c[column.name] for column in case.columns if column.name not in ("closed_in", "outcome")),
            sa.literal(work.pending, sa.BigInteger).label("closed_in"),
            outcome.label("outcome"),
        ),
    )
    unseen = sa.and_(rows.c.outcome == "gone", rows.c.opened_in == work.pending)
    work.connection.execute(sa.delete(case).where(case.c.case_id.in_(sa.select(rows.c.case_id).where(unseen))))
    work.put(case, sa.select(rows).where(sa.not_(unseen)).subquery("seen"), "case_id")
