"""Holders that contradict each other: a value that unrelated records repeat is nobody's, whatever it looks like.

Belongs here: one rule. A token of one field links nobody when three or more records hold it and, of the
entity's other fields that tell who somebody is (types name, email, phone), at least two are said by three
or more of the holders, and every one that is has three or more different values. So a switchboard's number
does not make its callers one person; a person with three addresses and one name stays one, and so does a
family name. Does not: values that mean nothing by themselves (`hollow`), crowds (`guards`).

The rule looks at all holders of a token together and at nothing else, so it says the same whichever of
them came last.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import sqlalchemy as sa

from sor_pipeline.identify.work import Work, same_token
from sor_pipeline.ownership.matching import Same
from sor_pipeline.tables import ClaimState, claim

_WITNESSES = ("name", "email", "phone")
_FEW = 3


def contradicted(
    work: Work, name: str, rows: sa.FromClause, counted: sa.Table, suspects: sa.ColumnElement[bool]
) -> sa.Table | None:
    """Grain: one token (rule, token) of `counted` whose holders contradict each other; None: there is none."""
    fields = witnesses(work)
    rules = {
        f"same:{rule.same[0]}": tuple(field for field in fields if field != rule.same[0])
        for rule in work.spec.match
        if isinstance(rule, Same) and len(rule.same) == 1
    }
    rules = {rule: others for rule, others in rules.items() if len(others) > 1}
    if not rules:
        return None
    enough = sa.select(counted.c.rule, counted.c.token).where(
        suspects, counted.c.rule.in_(list(rules)), counted.c.records.between(_FEW, work.spec.max_size)
    )
    if not work.any(enough):
        return None
    said = _said(work, rows, enough.subquery("candidates"), fields).subquery("said")
    # Most holders agree in something: telling two values from one is cheaper than counting them.
    disagreeing = work.keep(f"{name}_disagreeing", _differing(said, rules, _two_differ))
    if not work.any(sa.select(disagreeing)):
        return None
    again = _said(work, rows, disagreeing, fields).subquery("again")
    return work.keep(f"{name}_strangers", _differing(again, rules, _three_differ))


def witnesses(work: Work) -> tuple[str, ...]:
    """Fields that tell who somebody is."""
    return tuple(name for name, field in work.spec.fields.items() if field.type in _WITNESSES)


def _two_differ(value: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.func.min(value) != sa.func.max(value)


def _three_differ(value: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.func.count(value.distinct()) >= _FEW


def _said(work: Work, rows: sa.FromClause, tokens: sa.FromClause, fields: tuple[str, ...]) -> Any:
    """Grain: one of the tokens and holder (rule, token, and per field the comparable form, null where it has none)."""
    parts = []
    for source, spec in work.run.ownership.sources_of(work.entity).items():
        staged = work.tables.staged[source]
        says = [_form(staged, field) if field in spec.fields else sa.cast(sa.null(), sa.Text) for field in fields]
        parts.append(
            sa.select(rows.c.rule, rows.c.token, *(form.label(f) for form, f in zip(says, fields, strict=True)))
            .select_from(rows.join(tokens, same_token(rows, tokens)).join(staged, staged.c._key == rows.c.source_key))
            .where(rows.c.source == source)
        )
    return sa.union_all(*parts)


def _form(staged: sa.Table, field: str) -> sa.ColumnElement[str]:
    said = claim(staged, field)
    return sa.case((said.state == int(ClaimState.value), sa.cast(said.compare, sa.Text)))


def _differing(said: sa.FromClause, rules: dict[str, tuple[str, ...]], differ: Any) -> sa.Select[Any]:
    """Grain: one token of which two witnesses or more speak and all that speak differ."""
    conditions = []
    for rule, others in rules.items():
        speaks = [sa.func.count(said.c[field]) >= _FEW for field in others]
        enough = reduce(add, (sa.case((one, 1), else_=0) for one in speaks)) >= 2
        all_differ = (sa.or_(~one, differ(said.c[field])) for one, field in zip(speaks, others, strict=True))
        conditions.append(sa.and_(said.c.rule == rule, enough, *all_differ))
    return sa.select(said.c.rule, said.c.token).group_by(said.c.rule, said.c.token).having(sa.or_(*conditions))
