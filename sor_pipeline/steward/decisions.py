"""The ledger of decisions about identity: `steward.decision`, only ever added to.

A decision names two records: `link` (the same thing) or `unlink` (two things), whatever rules and
similarity say. The newest on a pair rules, unless a later `withdraw` takes it back: then the one
before it rules again. Decisions hang on records, never on ids, so merges and splits leave them alone.

Belongs here: adding to the ledger, and refusing what cannot be meant. Does not: listing (`observe`),
gathering what was seen (the caller hands it in), acting on it (`identify`).

Reads: `staged.*`, `steward.decision`. Writes: `steward.decision`. Raises: DecisionRefused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.ledger import PAIR, in_force
from sor_pipeline.run import Run
from sor_pipeline.steward.records import Record, entity_of
from sor_pipeline.steward.signature import signed


class Kind(StrEnum):
    """What a decision says about two records."""

    link = "link"
    unlink = "unlink"
    withdraw = "withdraw"


@dataclass(frozen=True)
class Pair:
    """Two records of one entity, in the order of the tables."""

    entity: str
    left: Record
    right: Record


@dataclass(frozen=True)
class Decision:
    """One row of the ledger, as far as others refer to it."""

    number: int
    kind: Kind
    pair: Pair


def paired(run: Run, connection: sa.Connection, one: Record, other: Record) -> Pair:
    """The two records in the order of the tables, smaller (source, key) first by code points.

    Raises DecisionRefused where they are one record, not both alive, or of two kinds of thing.
    """
    if one == other:
        raise DecisionRefused(Fault("same-record", str(one), "both names are the same record", f"{one} twice",
                                    "two records", "name the other record"))  # fmt: skip
    entity, others = entity_of(run, connection, one), entity_of(run, connection, other)
    if entity != others:
        raise DecisionRefused(
            Fault("two-entities", f"{one}, {other}", f"one is a record of {entity}, the other of {others}",
                  f"{entity} and {others}", "two records of one entity", "only records of one entity can be the same")
        )  # fmt: skip
    return Pair(entity, *sorted((one, other)))


def decide(
    run: Run,
    kind: Kind,
    one: Record,
    other: Record,
    by: str,
    reason: str,
    seen: Mapping[str, object] | None = None,
    weight: float | None = None,
) -> Decision:
    """Write a link or an unlink down. `seen` is the evidence of this moment (no personal values), `weight` the pair's.

    Raises DecisionRefused for what `paired` refuses, for a blank `by` or `reason`, for what is decided
    already, and for a link of two records of a source that says `unique: true`.
    """
    with run.engine.begin() as connection:
        pair = paired(run, connection, one, other)
        signed(by, reason)
        _not_said_already(run, connection, kind, pair)
        if kind is Kind.link:
            _may_be_one(run, pair)
        number = _append(
            run, connection, kind=kind.value, entity=pair.entity, by=by, reason=reason,
            left_source=pair.left.source, left_key=pair.left.key,
            right_source=pair.right.source, right_key=pair.right.key,
            evidence=json.dumps(seen or {}, sort_keys=True, ensure_ascii=False), weight=weight,
        )  # fmt: skip
    return Decision(number, kind, pair)


def withdraw(run: Run, number: int, by: str, reason: str) -> Decision:
    """Take decision `number` back from here on; returns the entry that says so.

    Raises DecisionRefused where there is no such link or unlink, or it is withdrawn already.
    """
    table = run.tables.decision
    with run.engine.begin() as connection:
        signed(by, reason)
        rows = connection.execute(sa.select(table).where(table.c.decision == number)).fetchall()
        gone = connection.execute(sa.select(table.c.decision).where(table.c.withdraws == number)).fetchall()
        if not rows:
            raise _refused("unknown-decision", number, "there is no such decision", str(number), "the number of one",
                           "see their numbers with `sor decisions --all`")  # fmt: skip
        taken = rows[0]
        if taken.kind == Kind.withdraw:
            raise _refused("not-withdrawable", number, "this entry is itself a withdrawal",
                           f"a withdrawal of decision {taken.withdraws}", "a link or an unlink",
                           "decide anew with `sor link` or `sor unlink`")  # fmt: skip
        if gone:
            raise _refused("withdrawn-already", number, "this decision is withdrawn already",
                           f"withdrawn by entry {gone[0].decision}", "one that is in force", "nothing")  # fmt: skip
        pair = Pair(
            taken.entity, Record(taken.left_source, taken.left_key), Record(taken.right_source, taken.right_key)
        )
        entry = _append(
            run, connection, kind=Kind.withdraw.value, entity=pair.entity, withdraws=number, by=by, reason=reason,
            left_source=pair.left.source, left_key=pair.left.key,
            right_source=pair.right.source, right_key=pair.right.key, evidence="{}",
        )  # fmt: skip
    return Decision(entry, Kind.withdraw, pair)


def ruling(run: Run, connection: sa.Connection, pair: Pair) -> tuple[int, Kind] | None:
    """Number and kind of the decision in force on the pair: the newest that nobody has withdrawn; None without one."""
    rows = in_force(run.tables)
    records = (pair.left.source, pair.left.key, pair.right.source, pair.right.key)
    named = (rows.selected_columns[n] == value for n, value in zip(PAIR, (pair.entity, *records), strict=True))
    row = connection.execute(rows.where(*named)).fetchall()
    return (int(row[0].decision), Kind(row[0].kind)) if row else None


def _append(run: Run, connection: sa.Connection, **values: object) -> int:
    table = run.tables.decision
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.decision), 0))).scalar_one()
    number = int(last) + 1
    row = {"decision": number, "at": run.now, "_publication": run.pending(connection), **values}
    connection.execute(sa.insert(table).values(row))
    return number


def _not_said_already(run: Run, connection: sa.Connection, kind: Kind, pair: Pair) -> None:
    said = ruling(run, connection, pair)
    if said is not None and said[1] is kind:
        words = "linked" if kind is Kind.link else "kept apart"
        raise DecisionRefused(
            Fault("decided-already", f"{pair.left}, {pair.right}", f"these records are {words} by a decision already",
                  f"decision {said[0]} is in force", "a new word",
                  f"nothing is left to do; to take it back: sor withdraw {said[0]} --reason ...")
        )  # fmt: skip


def _may_be_one(run: Run, pair: Pair) -> None:
    source = pair.left.source
    if source == pair.right.source and run.ownership.sources[source].unique:
        raise DecisionRefused(
            Fault("unique-source", f"{pair.left}, {pair.right}", f"{source} says `unique: true`",
                  f"two records of {source}", "no two of its records are one",
                  f"take `unique` out of {source} in the document, or merge the records in the tool itself")
        )  # fmt: skip


def _refused(code: str, number: int, what: str, found: str, expected: str, todo: str) -> DecisionRefused:
    return DecisionRefused(Fault(code, f"decision {number}", what, found, expected, todo))
