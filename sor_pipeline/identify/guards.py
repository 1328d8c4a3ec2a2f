"""What never links: mailboxes that are nobody's own, and values that too many records share.

Belongs here: every reason to distrust a token. Does not: how tokens are made (`tokens`).
Placeholders need no guard: stage gives them a state that is not a value.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.work import Work
from sor_pipeline.ownership.matching import Linked, Same

ROLE_MAILBOXES = (
    "abuse", "accounting", "accounts", "admin", "administrator", "all", "billing", "bookings", "careers", "contact",
    "contactus", "customerservice", "do-not-reply", "donotreply", "enquiries", "enquiry", "everyone", "feedback",
    "finance", "hello", "help", "helpdesk", "hi", "hostmaster", "hr", "info", "information", "inquiries", "inquiry",
    "invoice", "invoices", "it", "jobs", "kontakt", "legal", "mail", "mailer-daemon", "marketing", "media", "news",
    "newsletter", "no-reply", "no_reply", "noreply", "notifications", "office", "operations", "order", "orders",
    "payments", "postmaster", "press", "privacy", "procurement", "purchasing", "reception", "recruiting",
    "recruitment", "reply", "root", "sales", "security", "service", "shop", "spam", "staff", "store", "subscribe",
    "support", "team", "unsubscribe", "webmaster", "welcome",
)  # fmt: skip
"""Local parts of addresses that a role answers, not a person; whatever follows a `+` is left out."""

ORPHAN_LIMIT = 20
"""A linked key whose record nobody has seen links at most so many holders: it may stand for "unknown"."""


def somebodys_own(email: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """True where the (lower-case) address is a person's, not a role's."""
    mailbox = sa.func.split_part(sa.func.split_part(email, "@", 1), "+", 1)
    return mailbox.not_in(ROLE_MAILBOXES)


def limits(work: Work) -> dict[str, int]:
    """How many records may share a token, by rule."""
    most: dict[str, int] = {}
    for rule in work.spec.match:
        if isinstance(rule, Same):
            most[same_name(rule)] = rule.max_records
        elif isinstance(rule, Linked):
            most |= {linked_name(holder): ORPHAN_LIMIT for holder in rule.linked}
    return most


def same_name(rule: Same) -> str:
    return f"same:{'+'.join(rule.same)}"


def linked_name(holder: str) -> str:
    return f"linked:{holder}"


def own_token(source: sa.ColumnElement[str], key: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """What a record is called by those who hold its key."""
    return source + sa.literal(":", sa.Text) + key


def linking(rows: sa.FromClause, most: dict[str, int]) -> sa.Select[tuple[str, str]]:
    """Grain: one token (rule, token) that links: held by two records or more, and trusted.

    `rows` are token rows, all those of every token that occurs in them. A linked key whose own
    record is among the holders is somebody's declared word and has no limit.
    """
    token, source, key = rows.c.token, rows.c.source, rows.c.source_key
    declared = sa.and_(rows.c.rule.startswith("linked:", autoescape=True), token == own_token(source, key))
    limit = (
        sa.case(*((rows.c.rule == rule, records) for rule, records in most.items()), else_=0) if most else sa.literal(0)
    )
    few = sa.func.count() <= sa.func.max(limit)
    named = sa.func.max(sa.case((declared, 1), else_=0)) == 1
    return (
        sa.select(rows.c.rule, rows.c.token)
        .group_by(rows.c.rule, rows.c.token)
        .having(sa.func.count() > 1, sa.or_(few, named))
    )
