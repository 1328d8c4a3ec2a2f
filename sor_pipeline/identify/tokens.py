"""What records have in common: selects that make tokens from staged tables.

Belongs here: one row per live record, match rule and token. Two records that hold the same token
of a rule are the same entity, unless a guard distrusts it: for what it is (`hollow`, told here, in the
row), or for who holds it (`guards`). Does not: counting holders.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.guards import linked_name, same_name
from sor_pipeline.identify.hollow import hollow, hollow_key
from sor_pipeline.identify.work import Work, own_token
from sor_pipeline.ownership.matching import Linked, Same
from sor_pipeline.tables import ClaimState, claim, link_column

_SEPARATOR, _ESCAPE = "|", "\\"


def records(work: Work) -> sa.Select[object] | sa.CompoundSelect[object]:
    """Grain: one staged record, live or deleted (source, source_key); `fresh` where it awaits publication."""
    parts = []
    for source in work.run.ownership.sources_of(work.entity):
        staged = work.tables.staged[source]
        parts.append(
            sa.select(
                sa.literal(source, sa.Text).label("source"),
                staged.c._key.label("source_key"),
                staged.c._deleted_at.is_(None).label("live"),
                sa.func.coalesce(staged.c._publication == work.pending, sa.false()).label("fresh"),
            )
        )
    if not parts:
        known = work.identity
        return sa.select(known.c.source, known.c.source_key, sa.false().label("live"), sa.false().label("fresh")).where(
            sa.false()
        )
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]


def tokens(work: Work, *, fresh_only: bool) -> sa.Select[object] | sa.CompoundSelect[object]:
    """Grain: one live record, rule and token; columns as `identity.<entity>__token`; all records, or the fresh ones."""
    parts = []
    for source in work.run.ownership.sources_of(work.entity):
        staged = work.tables.staged[source]
        among: list[sa.ColumnElement[bool]] = [staged.c._deleted_at.is_(None)]
        if fresh_only:
            among.append(staged.c._publication == work.pending)
        parts += [select.where(*among) for select in _of_source(work, source)]
    if not parts:
        return sa.select(work.token).where(sa.false())
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]


def _of_source(work: Work, source: str) -> list[sa.Select[object]]:
    same = {same_name(rule): rule for rule in work.spec.match if isinstance(rule, Same)}
    links = {
        holder: target for rule in work.spec.match if isinstance(rule, Linked) for holder, target in rule.linked.items()
    }
    mapped = work.run.ownership.sources[source].fields
    selects = [
        _same(work, source, name, rule) for name, rule in same.items() if all(field in mapped for field in rule.same)
    ]
    for holder, target in links.items():
        if holder.startswith(f"{source}."):
            selects.append(_holder(work, source, holder, target))
        if target == source:
            selects.append(_held(work, source, holder))
    return selects


def _row(
    source: str, staged: sa.Table, rule: str, token: sa.ColumnElement[str], distrust: sa.ColumnElement[str] | None
) -> sa.Select[object]:
    return sa.select(
        sa.literal(source, sa.Text).label("source"),
        staged.c._key.label("source_key"),
        sa.literal(rule, sa.Text).label("rule"),
        token.label("token"),
        (sa.cast(sa.null(), sa.Text) if distrust is None else distrust).label("distrust"),
    )


def _same(work: Work, source: str, name: str, rule: Same) -> sa.Select[object]:
    """Comparable forms of all fields of the rule, joined; none where one of them is not a value."""
    staged = work.tables.staged[source]
    fields = work.spec.fields
    texts: list[sa.ColumnElement[str]] = []
    said_at_all: list[sa.ColumnElement[bool]] = []
    doubts: list[sa.ColumnElement[str]] = []
    for field in rule.same:
        said = claim(staged, field)
        text: sa.ColumnElement[str] = sa.cast(said.compare, sa.Text)
        said_at_all += [said.state == ClaimState.value, text != ""]
        doubt = hollow(fields[field].type, text)
        doubts += [] if doubt is None else [doubt]
        if fields[field].type == "ref":
            # Keys of two systems that happen to be equal name two things.
            text = sa.literal(f"{work.run.ownership.referred_source(source, field) or source}:", sa.Text) + text
        texts.append(text)
    distrust = sa.func.coalesce(*doubts, type_=sa.Text) if doubts else None
    return _row(source, staged, name, _joined(texts), distrust).where(*said_at_all)


def _joined(texts: list[sa.ColumnElement[str]]) -> sa.ColumnElement[str]:
    """Texts in one, so that different texts never join to the same."""
    if len(texts) == 1:
        return texts[0]
    joined, *further = [_escaped(text) for text in texts]
    for text in further:
        joined = joined + sa.literal(_SEPARATOR, sa.Text) + text
    return joined


def _escaped(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    once = sa.func.replace(text, _ESCAPE, _ESCAPE * 2)
    return sa.func.replace(once, _SEPARATOR, _ESCAPE + _SEPARATOR, type_=sa.Text)


def _holder(work: Work, source: str, holder: str, target: str) -> sa.Select[object]:
    """The record that stores another's key."""
    staged = work.tables.staged[source]
    link = staged.c[link_column(holder.removeprefix(f"{source}."))]
    written = [link != ""]
    if target == source:
        written.append(link != staged.c._key)
    token = own_token(sa.literal(target, sa.Text), link)
    return _row(source, staged, linked_name(holder), token, hollow_key(link)).where(*written)


def _held(work: Work, source: str, holder: str) -> sa.Select[object]:
    """The record whose key another stores."""
    staged = work.tables.staged[source]
    return _row(source, staged, linked_name(holder), own_token(sa.literal(source, sa.Text), staged.c._key), None)
