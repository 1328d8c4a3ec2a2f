"""Which tokens link: the reasons to distrust a value for who shares it.

Belongs here: counting holders, rule by rule. Does not: how tokens are made (`tokens`), values that mean
nothing by themselves (`hollow`), holders that contradict each other (`strangers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.identify.strangers import contradicted
from sor_pipeline.identify.work import Work, own_token, same_token
from sor_pipeline.ownership.matching import Linked, Same
from sor_pipeline.tables import Tables

ORPHAN_LIMIT = 20
"""A linked key whose record nobody has seen links at most so many holders: it may stand for "unknown"."""


@dataclass(frozen=True)
class Judged:
    """Tokens by all their holders.

    `counted`: one row per token that two or more records hold (rule, token, records, named, reason, and `least`,
    the least holder, where holders have numbers); `reason` is why the value means nothing, else null.
    `distrusted`: one row per such token that links nobody, for whichever reason (rule, token, reason, records);
    `all_link`: there is none.
    """

    counted: sa.Table
    distrusted: sa.Table
    all_link: bool

    def linking(self) -> sa.Select[Any]:
        """Grain: one token that links (columns of `counted`)."""
        counted = self.counted
        if self.all_link:
            return sa.select(counted)
        return sa.select(counted).where(
            counted.c.reason.is_(None), ~sa.exists().where(same_token(counted, self.distrusted)).correlate(counted)
        )


def limits(work: Work) -> dict[str, int]:
    """How many records may share a token, by rule: of one system (`same`), or in all (`linked`)."""
    most: dict[str, int] = {}
    for rule in work.spec.match:
        if isinstance(rule, Same):
            most[same_name(rule)] = min(rule.max_records, work.spec.max_size)
        elif isinstance(rule, Linked):
            most |= {linked_name(holder): min(ORPHAN_LIMIT, work.spec.max_size) for holder in rule.linked}
    return most


def same_name(rule: Same) -> str:
    return f"same:{'+'.join(rule.same)}"


def linked_name(holder: str) -> str:
    return f"linked:{holder}"


def judged(work: Work, name: str, rows: sa.FromClause) -> Judged:
    """`rows` are token rows, all those of every token that occurs in them.

    A linked key whose own record is among the holders is somebody's declared word: nothing speaks against it.
    """
    counted = work.keep(f"{name}_counted", _counted(rows))
    suspects = counted.c.reason.is_(None) & ~counted.c.named
    hollow = sa.select(counted.c.rule, counted.c.token, counted.c.reason, counted.c.records)
    distrusted = work.keep(f"{name}_distrusted", hollow.where(counted.c.reason.is_not(None)))
    for reason, tokens in (
        ("max_records", _crowded(work, name, rows, counted, suspects)),
        ("strangers", contradicted(work, name, rows, counted, suspects)),
    ):
        if tokens is not None:
            told = _for_reason(counted, tokens, reason)
            told = told.where(~sa.exists().where(same_token(distrusted, tokens)).correlate(tokens))
            work.connection.execute(sa.insert(distrusted).from_select(["rule", "token", "reason", "records"], told))
    return Judged(counted, distrusted, all_link=not work.any(sa.select(distrusted)))


def _counted(rows: sa.FromClause) -> sa.Select[Any]:
    declared = sa.and_(
        rows.c.rule.startswith("linked:", autoescape=True), rows.c.token == own_token(rows.c.source, rows.c.source_key)
    )
    named = sa.func.max(sa.case((declared, 1), else_=0)) == 1
    columns: list[sa.ColumnElement[Any]] = [
        rows.c.rule,
        rows.c.token,
        sa.func.count().label("records"),
        named.label("named"),
        sa.case((named, sa.null()), else_=sa.func.max(rows.c.distrust)).label("reason"),
    ]
    if "node" in rows.c:
        columns.append(sa.func.min(rows.c.node).label("least"))
    return sa.select(*columns).group_by(rows.c.rule, rows.c.token).having(sa.func.count() > 1)


def _crowded(
    work: Work, name: str, rows: sa.FromClause, counted: sa.Table, suspects: sa.ColumnElement[bool]
) -> sa.Table | None:
    """Grain: one token that too many records share: of one system, or more in all than one entity may have."""
    limit = _limit(limits(work), counted.c.rule)
    above = sa.select(counted.c.rule, counted.c.token, counted.c.records, limit.label("most")).where(
        suspects, counted.c.records > limit
    )
    if not work.any(above):
        return None
    many = above.subquery("many")
    of_one = (
        sa.select(many.c.rule, many.c.token, sa.func.count().label("records"))
        .join(rows, same_token(rows, many))
        .group_by(many.c.rule, many.c.token, sa.func.split_part(rows.c.source, ".", 1), many.c.most)
        .having(sa.func.count() > many.c.most)
        .subquery("of_one")
    )
    linked = many.c.rule.startswith("linked:", autoescape=True)
    in_all = sa.select(many.c.rule, many.c.token).where(sa.or_(linked, many.c.records > work.spec.max_size))
    return work.keep(f"{name}_crowded", sa.union(in_all, sa.select(of_one.c.rule, of_one.c.token)))


def _limit(most: dict[str, int], rule: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    if not most:
        return sa.literal(0)
    return sa.case(*((rule == name, records) for name, records in most.items()), else_=0)


def _for_reason(counted: sa.Table, tokens: sa.FromClause, reason: str) -> sa.Select[Any]:
    return sa.select(
        counted.c.rule, counted.c.token, sa.literal(reason, sa.Text).label("reason"), counted.c.records
    ).where(same_token(counted, tokens))


def by_reason(tables: Tables, entity: str) -> sa.Select[Any]:
    """Grain: one rule and reason: how many tokens link nobody for it, and how many records hold them."""
    table = tables.distrusted[entity]
    return (
        sa.select(
            table.c.rule, table.c.reason, sa.func.count().label("tokens"), sa.func.sum(table.c.records).label("records")
        )
        .group_by(table.c.rule, table.c.reason)
        .order_by(table.c.rule, table.c.reason)
    )
