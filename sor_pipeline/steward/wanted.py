"""What a person must look at now, one select per kind of case.

Belongs here: from which state of the tables a case follows, and what it says. Does not: opening and closing
(`casebook`), whose it is (`routes`). Cases about pairs of records are `identify`'s.

Every select has the columns of ABOUT and `evidence`: JSON of numbers and names, never a value. A case is about a
field and two systems, an expectation, a source: never about one row where a rule could settle all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ledger import overrides_in_force, reads_as
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.stewards import CaseKind
from sor_pipeline.run import Run
from sor_pipeline.tables import NO_FIELD, Tables

ABOUT = ("entity", "kind", "field", "system", "source", "source_key", "rule")
BY_SOR = "sor"


def wanted(run: Run) -> Rows:
    """Grain: one case that there is to be; ABOUT, evidence, case_id."""
    selects = [one for kind in KINDS.values() for one in kind(run)]
    united = sa.union_all(*selects).subquery("wanted")
    text: Expression = united.c.kind
    for name in ABOUT:
        if name != "kind":
            text = text + sa.literal("|", sa.Text) + sa.func.coalesce(united.c[name], "")
    return sa.select(united, sa.func.substr(sa.func.md5(text), 1, 16, type_=sa.Text).label("case_id"))


def _case(kind: CaseKind, evidence: dict[str, Expression], **about: Expression | str | None) -> list[Expression]:
    columns: list[Expression] = []
    for name in ABOUT:
        value = kind.value if name == "kind" else about.get(name)
        columns.append((sa.literal(value, sa.Text) if value is None or isinstance(value, str) else value).label(name))
    return [*columns, _json(evidence).label("evidence")]


def _json(parts: dict[str, Expression]) -> Expression:
    """A JSON object of numbers, nulls, or what is JSON already."""
    text: Expression = sa.literal("{", sa.Text)
    for position, (name, value) in enumerate(parts.items()):
        between = ", " if position else ""
        shown = sa.func.coalesce(sa.cast(value, sa.Text), "null")
        text = text + sa.literal(f'{between}"{name}": ', sa.Text) + shown
    return text + sa.literal("}", sa.Text)


def _of_source(tables: Tables, source: Expression, what: Callable[[str], str]) -> Expression:
    """What the document says of the source; null for one that it does not have."""
    named = tables.ownership.sources
    if not named:
        return sa.cast(sa.null(), sa.Text)
    return sa.case(*((source == name, sa.literal(what(name), sa.Text)) for name in named))


def _entity(tables: Tables, source: Expression) -> Expression:
    return _of_source(tables, source, lambda name: tables.ownership.sources[name].entity)


def _system(tables: Tables, source: Expression) -> Expression:
    return _of_source(tables, source, system_of)


def _conflicts(run: Run) -> list[Rows]:
    """One per field and pair of systems."""
    tables, limits = run.tables, run.ownership.cases.conflict
    conflict, publication, claims = tables.conflict, tables.publication, tables.published_claims
    by = (conflict.c.entity, conflict.c.field, conflict.c.system, conflict.c.owner)
    opened = (
        sa.select(*by, sa.func.count().label("open"), sa.func.min(conflict.c.opened_in).label("since"),
                  sa.func.min(publication.c.published_at).label("oldest"))
        .join(publication, publication.c.publication == conflict.c.opened_in)
        .where(conflict.c.closed_in.is_(None))
        .group_by(*by)
        .subquery("opened")
    )  # fmt: skip
    reached: list[sa.ColumnElement[bool]] = []
    if limits.after is not None:
        reached.append(opened.c.oldest <= sa.literal(run.now - limits.after, sa.DateTime))
    if limits.number is not None:
        reached.append(opened.c.open >= limits.number)
    origin: sa.FromClause = opened
    if limits.share is not None:
        last = sa.select(sa.func.max(claims.c.publication)).scalar_subquery()
        pair = (claims.c.entity, claims.c.field, claims.c.system)
        said = sa.select(*pair, sa.func.sum(claims.c["values"]).label("said")).where(claims.c.publication == last)
        spoken = said.group_by(*pair).subquery("spoken")
        origin = opened.outerjoin(spoken, sa.and_(*(spoken.c[n.name] == opened.c[n.name] for n in pair)))
        reached.append(opened.c.open >= limits.share * sa.cast(spoken.c.said, sa.Numeric(20, 6)))
    if not reached:
        return []
    about = _case(
        CaseKind.conflict, {"open": opened.c.open, "since": opened.c.since},
        entity=opened.c.entity, field=opened.c.field, system=opened.c.system, rule=opened.c.owner,
    )  # fmt: skip
    return [sa.select(*about).select_from(origin).where(sa.or_(*reached))]


def _held(run: Run) -> list[Rows]:
    """One per expectation that keeps cells at their last good value."""
    held = run.tables.held
    number = sa.func.count(sa.distinct(held.c.entity_id))
    about = _case(CaseKind.held, {"entities": number}, entity=held.c.entity,
                  field=sa.func.nullif(held.c.field, NO_FIELD), rule=held.c.expectation)  # fmt: skip
    return [sa.select(*about).group_by(held.c.entity, held.c.field, held.c.expectation)]


def _refused_extracts(run: Run) -> list[Rows]:
    """One per source and reason: deliveries that were refused, and a snapshot that waits to be accepted."""
    tables = run.tables
    refusal, batch, account = tables.refusal, tables.batch, tables.account
    of = {"entity": _entity, "system": _system}
    refused = _case(
        CaseKind.refused_extract, {"deliveries": sa.func.count()}, source=refusal.c.source, rule=refusal.c.code,
        **{name: what(tables, refusal.c.source) for name, what in of.items()},
    )  # fmt: skip
    known = list(tables.ownership.sources)
    staged = sa.exists().where(account.c.source == batch.c.source, account.c.batch == batch.c.batch).correlate(batch)
    stopped = _case(
        CaseKind.refused_extract, {"deliveries": sa.func.count()}, source=batch.c.source, rule="not-staged",
        **{name: what(tables, batch.c.source) for name, what in of.items()},
    )  # fmt: skip
    return [
        sa.select(*refused).where(refusal.c.source.in_(known)).group_by(refusal.c.source, refusal.c.code),
        sa.select(*stopped).where(batch.c.source.in_(known), ~staged).group_by(batch.c.source),
    ]


def _blocked(run: Run) -> list[Rows]:
    """One per expectation that lets nothing be published; without one, a publication that stopped for its ids."""
    tables, finding, affected = run.tables, run.tables.finding, run.tables.affected
    failing = sa.and_(
        finding.c.severity == "block", sa.or_(finding.c.failed > 0, finding.c.passed.is_(False)),
        finding.c.entity.in_(list(tables.ownership.entities)),
    )  # fmt: skip
    about = _case(CaseKind.blocked, {"rows": finding.c.failed}, entity=finding.c.entity,
                  field=sa.func.nullif(finding.c.field, NO_FIELD), rule=finding.c.expectation)  # fmt: skip
    churned = _case(CaseKind.blocked, {"waiting": sa.func.count()}, entity=affected.c.entity, rule="churn")
    return [
        sa.select(*about).where(failing),
        sa.select(*churned).where(~sa.exists().where(failing)).group_by(affected.c.entity),
    ]


def _broken(run: Run) -> list[Rows]:
    """One per cell that its target undid too often."""
    broken = run.tables.broken
    about = _case(
        CaseKind.broken, {"reverts": broken.c.reverts, "since": broken.c.since, "history": broken.c.history},
        entity=_entity(run.tables, broken.c.source), field=broken.c.field, system=_system(run.tables, broken.c.source),
        source=broken.c.source, source_key=broken.c.source_key,
    )  # fmt: skip
    return [sa.select(*about).where(broken.c.ended_in.is_(None))]


def _refused_corrections(run: Run) -> list[Rows]:
    """One per cell whose last correction its target refused for good, with the tool's code where it was sent."""
    table, attempt = run.tables.correction, run.tables.attempt
    later = table.alias("later")
    cell = ("source", "source_key", "field")
    newer = sa.exists().where(later.c.proposed_in > table.c.proposed_in, *(later.c[n] == table.c[n] for n in cell))
    last = sa.select(table).where(table.c.state == "refused", ~newer.correlate(table)).subquery("last")
    sent = ("source", "source_key", "field", "proposed_in")
    key = [attempt.c[name] for name in sent]
    refused = sa.select(*key, sa.func.max(attempt.c.status).label("status")).where(attempt.c.outcome == "refused")
    codes, quote = refused.group_by(*key).subquery("codes"), sa.literal('"', sa.Text)
    about = _case(
        CaseKind.refused_correction,
        {"proposed_in": last.c.proposed_in, "status": quote + codes.c.status + quote}, entity=last.c.entity,
        field=last.c.field, system=last.c.system, source=last.c.source, source_key=last.c.source_key,
    )  # fmt: skip
    known = last.c.source.in_(list(run.ownership.sources))
    origin = last.outerjoin(codes, sa.and_(*(codes.c[name] == last.c[name] for name in sent)))
    return [sa.select(*about).select_from(origin).where(known)]


def _expired_overrides(run: Run) -> list[Rows]:
    """One per override that ended without anybody's word and without agreement, and one per override at rest."""
    ledger = run.tables.override
    later = ledger.alias("later")
    cell = ("entity", "field", "source", "source_key")
    newer = sa.exists().where(
        later.c.kind == "set", later.c.number > ledger.c.number, *(later.c[n] == ledger.c[n] for n in cell)
    )
    told = {name: ledger.c[name] for name in cell}
    ended = _case(CaseKind.expired_override, {"override": ledger.c.ends}, rule=ledger.c.outcome, **told)
    over = sa.and_(ledger.c.kind == "end", ledger.c.by == BY_SOR, ledger.c.outcome.in_(("date", "owner_changed")))
    force = overrides_in_force(run.tables).subquery("force")
    resting = _case(CaseKind.expired_override, {"override": force.c.number}, rule="resting",
                    **{name: force.c[name] for name in cell})  # fmt: skip
    return [
        sa.select(*ended).where(over, ~newer, ledger.c.entity.in_(list(run.ownership.entities))),
        sa.select(*resting).where(*(~lives for lives in _living(run, force))),
    ]


def _living(run: Run, force: sa.FromClause) -> list[sa.ColumnElement[bool]]:
    """Per source, whether the override's record lives in it and its field reads as it did."""
    found = []
    for source, spec in run.ownership.sources.items():
        staged = run.tables.staged[source]
        fields = run.ownership.entities[spec.entity].fields
        reads = sa.or_(
            *(sa.and_(force.c.field == name, force.c.type == reads_as(field)) for name, field in fields.items())
        )
        record = sa.exists().where(staged.c._key == force.c.source_key, staged.c._deleted_at.is_(None)).correlate(force)
        found.append(sa.and_(force.c.source == source, force.c.entity == spec.entity, reads, record))
    return found


def _unsent(run: Run) -> list[Rows]:
    """One per source: corrections that a live system has not been sent, and those that nobody takes."""
    tables, limit = run.tables, run.ownership.cases.unsent.after
    table, publication, attempt = tables.correction, tables.publication, tables.attempt
    live = [name for name, spec in run.ownership.systems.items() if spec.target is not None and spec.target.live]
    key = ("source", "source_key", "field", "proposed_in")
    tried = sa.exists().where(*(attempt.c[name] == table.c[name] for name in key)).correlate(table)

    def about(rule: str) -> list[Any]:
        of = {"entity": _entity(tables, table.c.source), "system": _system(tables, table.c.source)}
        return _case(CaseKind.unsent, {"corrections": sa.func.count()}, source=table.c.source, rule=rule, **of)

    proposed = sa.and_(table.c.state == "proposed", table.c.source.in_(list(run.ownership.sources)))
    waiting = sa.select(*about("waiting")).join(publication, publication.c.publication == table.c.proposed_in)
    old = publication.c.published_at <= sa.literal(run.now - limit, sa.DateTime)
    return [
        sa.select(*about("held back")).where(proposed, table.c.system.in_(live), ~tried).group_by(table.c.source),
        waiting.where(proposed, old).group_by(table.c.source),
    ]


KINDS: dict[CaseKind, Callable[[Run], list[Rows]]] = {
    CaseKind.conflict: _conflicts,
    CaseKind.held: _held,
    CaseKind.refused_extract: _refused_extracts,
    CaseKind.blocked: _blocked,
    CaseKind.broken: _broken,
    CaseKind.refused_correction: _refused_corrections,
    CaseKind.expired_override: _expired_overrides,
    CaseKind.unsent: _unsent,
}
