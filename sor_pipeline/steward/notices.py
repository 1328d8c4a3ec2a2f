"""Stewards told of their cases, through Apprise: e-mail, Slack, Teams, webhooks.

Belongs here: what is told to whom, in few lines and without values or keys, and that nothing is told twice.
Does not: whose a case is (`routes`).

A notice is written down before it is sent, and crossed out where sending failed: a run that is killed in between
has told nobody, but nobody is told twice. A notice that fails fails no run.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.run import Run
from sor_pipeline.settings import expanded
from sor_pipeline.steward.events import add

LINES = 20
"""Cases that one notice lists; how many more there are is told as a number."""
SENDING = "notifying"
"""The event of a notice that is being sent; it becomes `notify`, or nothing."""
_UNSET = "the variable of the address is not set"
TOLD = ("open", "reopen", "assign", "escalate")
"""Events after which the steward that they name is told."""


@dataclass(frozen=True)
class Address:
    """One URL of one steward; `template` as the document has it stands for it in the tables."""

    steward: str
    title: str
    template: str
    url: str | None
    """None: its variable is not set."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.template.encode()).hexdigest()[:16]


def notify(run: Run) -> tuple[dict[str, int], tuple[Fault, ...]]:
    """Tell every steward with an address what is new for them. Counts: notified, unnotified (cases that were not)."""
    counts, faults = {"notified": 0, "unnotified": 0}, []
    for address in addresses(run):
        with run.engine.begin() as connection:
            _mark(run, connection, address)
            news = run.engine.materialise(connection, "case_news", _news(run, address))
            number = int(connection.execute(sa.select(sa.func.count()).select_from(news)).scalar_one())
            if not number:
                continue
            text = _text(run, connection, news, address, number)
            add(run, connection, _notice(news, address))
        trouble = _UNSET if address.url is None else send(address.url, *text)
        counts["unnotified" if trouble else "notified"] += number
        with run.engine.begin() as connection:
            if trouble:
                connection.execute(sa.delete(run.tables.case_event).where(_sending(run, address)))
            else:
                _mark(run, connection, address)
        if trouble:
            faults.append(
                Fault("notice-failed", f"stewards.{address.steward}", f"a notice could not be sent: {trouble}",
                      f"{number} of their cases untold", "it is sent",
                      "see to the address in `notify`, or set it to nothing; the next run tries again", warning=True)
            )  # fmt: skip
    return counts, tuple(faults)


def addresses(run: Run) -> Iterator[Address]:
    """Every address but those whose variable is set to nothing: there nobody is to be told."""
    for name, spec in run.ownership.stewards.items():
        for template in spec.notify:
            try:
                url = expanded(template).strip()
            except SettingsError:
                url = None
            if url != "":
                yield Address(name, spec.title or name, template, url)


def _news(run: Run, address: Address) -> Rows:
    """Grain: one open case of the steward of which the address was not told since it came; the newest event of it."""
    case, event = run.tables.case, run.tables.case_event
    return (
        sa.select(case.c.case_id, sa.func.max(event.c.number).label("about"))
        .join(event, event.c.case_id == case.c.case_id)
        .where(case.c.closed_in.is_(None), case.c.steward == address.steward)
        .where(event.c.kind.in_(TOLD), event.c.to == address.steward)
        .where(event.c.number > _told_before(run, address))
        .group_by(case.c.case_id)
    )


def _told_before(run: Run, address: Address) -> Any:
    """Number of the newest event of the case that the address knows; 0 without one."""
    done = run.tables.case_event.alias("before")
    newest = sa.select(sa.func.coalesce(sa.func.max(done.c.about), 0)).where(
        done.c.case_id == run.tables.case.c.case_id, done.c.kind == "notify", done.c.words == address.digest
    )
    return newest.correlate(run.tables.case).scalar_subquery()


def _notice(news: sa.Table, address: Address) -> Rows:
    return sa.select(
        news.c.case_id,
        sa.literal(SENDING, sa.Text).label("kind"),
        sa.literal(address.steward, sa.Text).label("to"),
        sa.literal(address.digest, sa.Text).label("words"),
        news.c.about,
    )


def _sending(run: Run, address: Address) -> sa.ColumnElement[bool]:
    event = run.tables.case_event
    return sa.and_(event.c.kind == SENDING, event.c.words == address.digest, event.c.to == address.steward)


def _mark(run: Run, connection: sa.Connection, address: Address) -> None:
    """What was being sent counts as sent: now, or by a run that was killed while it was at it."""
    event = run.tables.case_event
    connection.execute(sa.update(event).where(_sending(run, address)).values(kind="notify"))


def _text(run: Run, connection: sa.Connection, news: sa.Table, address: Address, number: int) -> tuple[str, str]:
    """Title and body: kind, field, systems, deadline and number of each case; no value, no key of a record."""
    case = run.tables.case
    rows = connection.execute(
        sa.select(case.c.case_id, case.c.kind, case.c.entity, case.c.field, case.c.system, case.c.due_at, case.c.level)
        .join(news, news.c.case_id == case.c.case_id)
        .order_by(case.c.due_at.asc().nulls_last(), case.c.kind, case.c.case_id)
        .limit(LINES)
    ).fetchall()
    lines = [_line(row) for row in rows]
    if number > len(rows):
        lines.append(f"and {number - len(rows)} more")
    lines.append(f"All of them: sor cases --steward {address.steward}")
    return f"{number} {'case' if number == 1 else 'cases'} for {address.title}", "\n".join(lines)


def _line(row: Any) -> str:
    about = ".".join(filter(None, (row.entity, row.field)))
    where = f" ({row.system})" if row.system else ""
    due = f", due {row.due_at:%Y-%m-%d %H:%M} UTC" if row.due_at else ""
    late = ", escalated" if row.level else ""
    return f"{row.kind.replace('_', ' ')}: {about}{where}{due}{late}: sor case {row.case_id}".replace(": :", ":")


def send(url: str, title: str, body: str) -> str | None:
    """Send one notice; what went wrong, without the address, or None."""
    try:
        import apprise
    except ImportError:
        return "Apprise is not installed (extra `notify`)"
    with _silent():
        try:
            sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="sor_pipeline", app_desc="sor_pipeline"))
            if not sender.add(url):
                return "the address is none that Apprise knows"
            return None if sender.notify(body=body, title=title) else "it was refused, or nobody answered"
        except Exception as error:  # whatever a plug-in raises, the run goes on
            return type(error).__name__


@contextmanager
def _silent() -> Iterator[None]:
    """Apprise logs addresses, which hold secrets."""
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
