"""What the expectations found, publication after publication."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.observe.report.question import WINDOW, Question, last
from sor_pipeline.tables import Tables


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question("quality", "expectation that does not hold now", _failing(tables)),
        Question("quality-by-entity", "entity: expectations, and those that hold", _entities(tables)),
        Question(
            "quality-trend", "publication and severity: expectations, those that hold, rows that fail", _trend(tables)
        ),
        Question(
            "quality-trend-by-expectation", "publication and expectation that fails now: rows that fail", _each(tables)
        ),
    )


def _now(tables: Tables) -> sa.ColumnElement[bool]:
    finding = tables.published_finding
    newest = sa.select(sa.func.max(finding.c.publication)).scalar_subquery()
    return finding.c.publication == newest


def _failing(tables: Tables) -> Rows:
    finding = tables.published_finding
    weight = sa.case((finding.c.severity == "block", 0), (finding.c.severity == "hold", 1), else_=2)
    names = ("entity", "expectation", "severity", "checked", "failed")
    return (
        sa.select(*(finding.c[name] for name in names))
        .where(_now(tables), sa.not_(finding.c.passed))
        .order_by(weight, finding.c.failed.desc(), finding.c.entity, finding.c.expectation)
    )


def _entities(tables: Tables) -> Rows:
    finding = tables.published_finding
    held = sa.func.count().filter(finding.c.passed).label("hold")
    number = sa.func.count().label("expectations")
    rows = sa.select(finding.c.entity, number, held).where(_now(tables)).group_by(finding.c.entity)
    return rows.order_by(finding.c.entity)


def _trend(tables: Tables) -> Rows:
    finding = tables.published_finding
    return (
        sa.select(
            finding.c.publication, finding.c.severity, sa.func.count().label("expectations"),
            sa.func.count().filter(finding.c.passed).label("hold"),
            sa.cast(sa.func.coalesce(sa.func.sum(finding.c.failed), 0), sa.BigInteger).label("failed"),
        )
        .where(finding.c.publication > last(tables) - WINDOW)
        .group_by(finding.c.publication, finding.c.severity)
        .order_by(finding.c.publication, finding.c.severity)
    )  # fmt: skip


def _each(tables: Tables) -> Rows:
    finding = tables.published_finding
    failing = _failing(tables).order_by(None).subquery("failing")
    same = sa.and_(*(finding.c[name] == failing.c[name] for name in ("entity", "expectation")))
    return (
        sa.select(finding.c.publication, finding.c.entity, finding.c.expectation, finding.c.failed)
        .join(failing, same)
        .where(finding.c.publication > last(tables) - WINDOW)
        .order_by(finding.c.publication, finding.c.entity, finding.c.expectation)
    )
