"""The ledger of overrides: `steward.override`, only ever added to.

An override says what one cell is, whatever the rules say, until its end condition holds. It hangs on a record, so
that merges and splits leave it alone. `set` begins one and ends those that stood on the same cell; `end` takes one
back. Those that end by themselves are ended by `sor` (`resolve`).

Belongs here: adding to the ledger, and refusing what cannot be meant. Does not: reading values and finding the
record (the caller hands them in), acting on it (`resolve`), listing (`observe`).

Reads: `steward.override`, `identity.*`. Writes: `steward.override`. Raises: DecisionRefused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.ledger import overrides_in_force, reads_as
from sor_pipeline.run import Run
from sor_pipeline.steward.records import Record
from sor_pipeline.steward.signature import signed

SHAPE = "date:2026-12-31, owner_changes, owner_agrees or verified"


class Until(StrEnum):
    """What ends an override: a day, what the owner says, or a person who has checked it."""

    date = "date"
    owner_changes = "owner_changes"
    owner_agrees = "owner_agrees"
    verified = "verified"


@dataclass(frozen=True)
class End:
    """An end condition as people write it; `day` is the last one of an override `until` a date."""

    until: Until
    day: date | None = None

    def __str__(self) -> str:
        return f"date:{self.day}" if self.day else self.until.value


@dataclass(frozen=True)
class Word:
    """What a cell is to be: `value` as text (None: cleared) with its comparable form, on a record, until an end.

    `owner` is the system that owns the cell now, `owner_compare` what it says (comparable form; empty: cleared).
    """

    entity: str
    field: str
    record: Record
    value: str | None
    compare: str | None
    end: End
    owner: str | None
    owner_compare: str | None


def end_condition(text: str, today: date) -> End:
    """Raises DecisionRefused for what is no condition, and for a day that is over."""
    kind, colon, rest = text.partition(":")
    if kind not in Until.__members__ or bool(colon) != (kind == Until.date):
        raise _bad_end(text, "this is no end condition", SHAPE, "write one of these")
    if kind != Until.date:
        return End(Until(kind))
    try:
        day = date.fromisoformat(rest)
    except ValueError as error:
        raise _bad_end(text, "this is no day", "date:YYYY-MM-DD", "write it like date:2026-12-31") from error
    if day < today:
        raise _bad_end(text, "this day is over", f"{today} or later", "name a day to come")
    return End(Until.date, day)


def set_override(run: Run, word: Word, by: str, reason: str) -> tuple[int, list[int]]:
    """Write it down; returns its number and those of the overrides of the same cell that it replaces.

    Raises DecisionRefused for a blank `by` or `reason`.
    """
    signed(by, reason)
    field = run.ownership.entities[word.entity].fields[word.field]
    with run.engine.begin() as connection:
        before = _of_same_cell(run, connection, word)
        number = _append(
            run, connection, kind="set", entity=word.entity, field=word.field, by=by, reason=reason,
            source=word.record.source, source_key=word.record.key, value=word.value, compare=word.compare,
            type=reads_as(field), until=word.end.until.value, until_date=word.end.day,
            owner=word.owner, owner_compare=word.owner_compare,
        )  # fmt: skip
        for old, record in before.items():
            _append(run, connection, kind="end", ends=old, entity=word.entity, field=word.field, by=by,
                    reason=f"override {number} took its place", outcome="replaced",
                    source=record.source, source_key=record.key)  # fmt: skip
    return number, list(before)


def end_override(run: Run, number: int, by: str, reason: str, *, verified: bool = False) -> tuple[int, str, str]:
    """End override `number`; returns the entry's number, the entity and the field.

    Raises DecisionRefused where there is no such override, or it is over already.
    """
    ledger = run.tables.override
    signed(by, reason)
    with run.engine.begin() as connection:
        rows = connection.execute(sa.select(ledger).where(ledger.c.number == number)).fetchall()
        over = connection.execute(sa.select(ledger).where(ledger.c.ends == number)).fetchall()
        if not rows or rows[0].kind != "set":
            raise _refused("unknown-override", number, "there is no such override", str(number),
                           "the number of one", "see their numbers with `sor override list --all`")  # fmt: skip
        if over:
            raise _refused("override-over", number, "this override is over already",
                           f"{over[0].outcome}, entry {over[0].number}", "one that is in force", "nothing")  # fmt: skip
        one = rows[0]
        entry = _append(
            run, connection, kind="end", ends=number, entity=one.entity, field=one.field, by=by, reason=reason,
            source=one.source, source_key=one.source_key, outcome="verified" if verified else "withdrawn",
        )  # fmt: skip
    return entry, str(one.entity), str(one.field)


def _of_same_cell(run: Run, connection: sa.Connection, word: Word) -> dict[int, Record]:
    """Overrides in force on the cell, with the records that they hang on."""
    force = overrides_in_force(run.tables).subquery("force")
    known = run.tables.identity[word.entity]
    mine = known.alias("mine")
    same_record = sa.and_(known.c.source == force.c.source, known.c.source_key == force.c.source_key)
    its_own = sa.and_(mine.c.source == word.record.source, mine.c.source_key == word.record.key)
    rows = connection.execute(
        sa.select(force.c.number, force.c.source, force.c.source_key)
        .select_from(force.join(known, same_record).join(mine, mine.c.entity_id == known.c.entity_id))
        .where(force.c.entity == word.entity, force.c.field == word.field, its_own)
        .order_by(force.c.number)
    )
    return {int(row.number): Record(row.source, row.source_key) for row in rows.fetchall()}


def _append(run: Run, connection: sa.Connection, **values: object) -> int:
    ledger = run.tables.override
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(ledger.c.number), 0))).scalar_one()
    row = {"number": int(last) + 1, "at": run.now, "_publication": run.pending(connection), **values}
    connection.execute(sa.insert(ledger).values(row))
    return int(last) + 1


def _bad_end(text: str, what: str, expected: str, todo: str) -> DecisionRefused:
    return DecisionRefused(Fault("bad-until", "--until", what, f"`{text}`", expected, todo))


def _refused(code: str, number: int, what: str, found: str, expected: str, todo: str) -> DecisionRefused:
    return DecisionRefused(Fault(code, f"override {number}", what, found, expected, todo))
