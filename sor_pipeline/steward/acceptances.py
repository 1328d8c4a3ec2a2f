"""A person accepts by name what a guard stopped.

Subjects: `shrink:<source>:<batch>` (a snapshot that lacks too many records), `churn:<entity>:<digest>`
(a publication that changes too many ids), `delivery:<system>:<plan>` (more corrections than one delivery may send) and
`drift:<source>:<digest>` (a delivery of another shape, held back).
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.ownership.suggest import did_you_mean, one_of
from sor_pipeline.run import Run
from sor_pipeline.steward.signature import signed

SUBJECTS = {
    "shrink": "shrink:<source>:<batch>",
    "churn": "churn:<entity>:<digest>",
    "delivery": "delivery:<system>:<plan>",
    "drift": "drift:<source>:<digest>",
}
_NEWEST = 100
"""Batches among which the nearest name is looked for."""


def accept(
    run: Run,
    subject: str,
    by: str,
    reason: str,
    churning: Mapping[str, str],
    delivering: Mapping[str, str] | None = None,
) -> bool:
    """Write an acceptance down, once; False when it was there already.

    `churning`: entities whose published ids would change now, with the digest of that change.
    `delivering`: systems whose plan is over its caps now, with the name of that plan.
    Raises DecisionRefused for a subject that no guard can have named, and for a blank `by` or `reason`.
    """
    table = run.tables.acceptance
    signed(by, reason)
    with run.engine.begin() as connection:
        if connection.execute(sa.select(table.c.subject).where(table.c.subject == subject)).fetchall():
            return False
        _nameable(run, connection, subject, churning, delivering or {})
        connection.execute(sa.insert(table).values(subject=subject, by=by, reason=reason, at=run.now))
    return True


def _nameable(
    run: Run, connection: sa.Connection, subject: str, churning: Mapping[str, str], delivering: Mapping[str, str]
) -> None:
    kind, _, rest = subject.partition(":")
    scope, _, name = rest.partition(":")
    named: dict[str, tuple[str, ...]] = {
        "shrink": tuple(run.ownership.sources),
        "churn": tuple(run.ownership.entities),
        "delivery": tuple(run.ownership.systems),
        "drift": tuple(run.ownership.sources),
    }
    scopes = named.get(kind)
    if scopes is None:
        raise _refused(
            subject, kind, one_of(SUBJECTS.values()), did_you_mean(kind, SUBJECTS, "copy it from the refusal")
        )
    if scope not in scopes:
        raise _refused(subject, scope, one_of(scopes), did_you_mean(scope, scopes, "copy it from the refusal"))
    if kind == "churn" and churning.get(scope) != name:
        waiting = f"churn:{scope}:{churning[scope]}" if scope in churning else ""
        expected = (
            f"what would change now: {waiting}" if waiting else f"nothing: no published id of {scope} would change"
        )
        raise _refused(subject, name, expected, "look at it again with sor run, then accept what it names")
    if kind == "delivery" and delivering.get(scope) != name:
        plan = f"delivery:{scope}:{delivering[scope]}" if scope in delivering else ""
        expected = f"the plan as it is now: {plan}" if plan else f"nothing: no plan of {scope} is over its caps"
        raise _refused(subject, name, expected, f"look at it again with sor deliver {scope} --plan")
    if kind == "shrink":
        _batch(run, connection, subject, scope, name)
    if kind == "drift":
        _drift(run, connection, subject, scope)


def _batch(run: Run, connection: sa.Connection, subject: str, source: str, name: str) -> None:
    batch = run.tables.batch
    mine = sa.select(batch.c.batch).where(batch.c.source == source)
    if connection.execute(mine.where(batch.c.batch == name)).fetchall():
        return
    rows = connection.execute(mine.order_by(batch.c.as_of.desc(), batch.c.batch).limit(_NEWEST)).fetchall()
    names = [row.batch for row in rows]
    raise _refused(
        subject, name, f"a batch of {source}: {one_of(names)}", did_you_mean(name, names, "copy it from the refusal")
    )


def _drift(run: Run, connection: sa.Connection, subject: str, source: str) -> None:
    refusal = run.tables.refusal
    held = sa.select(refusal.c.message).where(refusal.c.source == source, refusal.c.code == "schema-drift")
    if not any(f"`sor accept {subject}`" in message for (message,) in connection.execute(held).fetchall()):
        todo = "look at it again with sor run, then accept what it names"
        raise _refused(subject, subject.rpartition(":")[2], f"a delivery of {source} that is held back", todo)


def _refused(subject: str, found: str, expected: str, todo: str) -> DecisionRefused:
    return DecisionRefused(
        Fault("unknown-subject", subject, "no guard can have named this", f"`{found}`", expected, todo)
    )
