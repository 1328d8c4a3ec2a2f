"""Our own writing, read back: claims that say what we wrote and the target acknowledged.

Belongs here: which claims of a source are echoes, below the steps, because `resolve` must not take them for news
and `correct` notes what was news before it writes. Does not: what a rule makes of them.

A claim is an echo while it says what the newest accepted delivery of its cell carried: the same text, or the same
comparable form. That is a function of staged records and of the log of deliveries, never of when runs were made.
A correction that nobody acknowledged (a file of the outbox) makes no echo.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.tables import ClaimState, Tables, claim

_CELL = ("source", "source_key", "field")
_PARTS = ("wanted", "form", "observed_at", "observed_since")


@dataclass(frozen=True)
class Echoes:
    """What was delivered to a source, beside its staged records.

    `rows`: one row per record with an accepted delivery (`source_key`, and `<field>__<part>` per field that can have
    one); to be outer-joined to `staged` by key. Without `fields` nothing was delivered, and nothing is to be joined.
    """

    tables: Tables
    source: str
    staged: sa.FromClause
    rows: sa.FromClause
    fields: tuple[str, ...]

    def joined(self, origin: sa.FromClause) -> sa.FromClause:
        """`origin`, which holds `staged`, with `rows` beside it."""
        if not self.fields:
            return origin
        return origin.outerjoin(self.rows, self.rows.c.source_key == self.staged.c._key)

    def is_echo(self, field: str) -> sa.ColumnElement[bool]:
        """Whether the claim is our own writing; never null."""
        if field not in self.fields:
            return sa.false()
        says, wanted = claim(self.staged, field), self.rows.c[f"{field}__wanted"]
        form = sa.cast(says.compare, sa.Text) == self.rows.c[f"{field}__form"]
        means = sa.and_(says.state == int(ClaimState.value), form)
        return sa.func.coalesce(sa.or_(sa.func.coalesce(says.raw, "") == wanted, means), sa.false())

    def since(self, field: str) -> Expression:
        """When the claim changed; of an echo, when what it replaced had."""
        since = claim(self.staged, field).since
        if field not in self.fields:
            return since
        return sa.case(
            (self.is_echo(field), sa.func.coalesce(self.rows.c[f"{field}__observed_since"], since)), else_=since
        )

    @property
    def changed_at(self) -> Expression:
        """When the record last changed; with an echo in it, when it last changed otherwise than by it."""
        changed = self.staged.c._changed_at
        if not self.fields:
            return changed
        was = [
            sa.case((self.is_echo(name), sa.func.coalesce(self.rows.c[f"{name}__observed_at"], changed)))
            for name in self.fields
        ]
        mapped = self.tables.ownership.sources[self.source].fields
        news = [sa.case((sa.not_(self.is_echo(name)), claim(self.staged, name).since)) for name in mapped]
        some = sa.or_(*(self.is_echo(name) for name in self.fields))
        return sa.case((some, sa.func.greatest(*was, *news)), else_=changed)


def any_delivered(tables: Tables, source: str) -> sa.Select[bool]:
    """One truth value: whether the source ever acknowledged a delivery."""
    attempt = tables.attempt
    return sa.select(sa.exists().where(attempt.c.source == source, attempt.c.outcome == "accepted"))


def echoes(tables: Tables, source: str, keys: Rows | None = None) -> Echoes:
    """The echoes among the records of a source, or among those with `keys` (one column: source keys)."""
    staged = tables.staged[source]
    fields = tuple(name for name in tables.ownership.sources[source].fields if f"{name}__raw" in staged.c)
    newest = _delivered(tables, source, keys).subquery("newest")
    columns = [
        sa.func.max(sa.case((newest.c.field == name, newest.c[part]))).label(f"{name}__{part}")
        for name in fields
        for part in _PARTS
    ]
    rows = sa.select(newest.c.source_key, *columns).group_by(newest.c.source_key).subquery(f"echo_{staged.name}")
    return Echoes(tables, source, staged, rows, fields)


def nothing_delivered(tables: Tables, source: str) -> Echoes:
    """No echo at all, for the many sources that never acknowledged anything: it costs no join."""
    return Echoes(tables, source, tables.staged[source], tables.staged[source], ())


def _delivered(tables: Tables, source: str, keys: Rows | None) -> Rows:
    """Grain: one cell (source_key, field) of which a delivery was accepted, with what the newest one carried."""
    attempt, correction = tables.attempt, tables.correction
    mine = [attempt.c.source == source, attempt.c.outcome == "accepted"]
    if keys is not None:
        mine.append(attempt.c.source_key.in_(keys))
    last = (
        sa.select(*(attempt.c[name] for name in _CELL), sa.func.max(attempt.c.proposed_in).label("proposed_in"))
        .where(*mine)
        .group_by(*(attempt.c[name] for name in _CELL))
        .subquery("last")
    )
    same = sa.and_(*(last.c[name] == correction.c[name] for name in (*_CELL, "proposed_in")))
    return sa.select(correction.c.source_key, correction.c.field, *(correction.c[part] for part in _PARTS)).join(
        last, same
    )
