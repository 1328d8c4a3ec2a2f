"""Values that mean nothing in any tool, whoever says them: what a token may not be made of.

Belongs here: reasons to distrust a value for what it is. Does not: distrust for who shares it (`guards`, `strangers`).
Most placeholders need no guard: stage gives them a state that is not a value. What is left is what no
list of texts can name: the digest of an empty cell, masks, mailboxes that nobody or everybody reads.
"""

from __future__ import annotations

import base64
import hashlib

import sqlalchemy as sa

Text = sa.ColumnElement[str]
Condition = sa.ColumnElement[bool]

ROLE_MAILBOXES = (
    "abuse", "accounting", "accounts", "admin", "administrator", "all", "billing", "bookings", "careers", "contact",
    "contactus", "customerservice", "do-not-reply", "do_not_reply", "donotreply", "enquiries", "enquiry",
    "everyone", "feedback", "finance", "hello", "help", "helpdesk", "hi", "hostmaster", "hr", "info", "information",
    "inquiries", "inquiry", "invoice", "invoices", "it", "jobs", "kontakt", "legal", "mail", "mailer-daemon",
    "marketing", "media", "news", "newsletter", "no-reply", "no.reply", "no_reply", "noreply", "notifications",
    "office", "operations", "order", "orders", "payments", "postmaster", "press", "privacy", "procurement",
    "purchasing", "reception", "recruiting", "recruitment", "reply", "root", "sales", "security", "service", "shop",
    "spam", "staff", "store", "subscribe", "support", "team", "unsubscribe", "webmaster", "welcome",
)  # fmt: skip
"""Local parts of addresses that a role answers, not a person; whatever follows a `+` is left out."""

NOBODY = (
    "asdf", "dummy", "empty", "invalid", "no-email", "no-mail", "no.email", "no.mail", "no_email", "no_mail",
    "noemail", "nomail", "none", "not-available", "not.available", "notavailable", "notprovided", "null",
    "placeholder", "qwerty", "test", "tester", "testing", "testuser", "undefined", "unknown",
)  # fmt: skip
"""Local parts that name nobody at any domain."""

STAND_INS = (
    *NOBODY, "a", "aa", "aaa", "abc", "anon", "anonymous", "bar", "baz", "blank", "customer", "demo", "email",
    "example", "fake", "first.last", "firstname.lastname", "foo", "foobar", "guest", "jane.doe", "janedoe",
    "john.doe", "johndoe", "me", "myemail", "n.a", "na", "name", "nan", "nil", "no", "nobody", "sample", "someone",
    "temp", "user", "x", "xx", "xyz", "you", "yourname",
)  # fmt: skip
"""Local parts that name nobody at a domain that is nobody's."""

NOBODYS_DOMAINS = (
    "a.com", "abc.com", "asdf.com", "company.com", "domain.com", "email.com", "example.com", "example.net",
    "example.org", "fake.com", "foo.com", "invalid.com", "mail.com", "na.com", "no.com", "noemail.com", "none.com",
    "null.com", "sample.com", "test.com", "test.net", "test.org", "unknown.com", "xxx.com", "yourdomain.com",
)  # fmt: skip
_RESERVED = ("invalid", "localhost")

MAIL_PROVIDERS = (
    "aol.com", "btinternet.com", "comcast.net", "free.fr", "gmail.com", "gmx.de", "gmx.net", "googlemail.com",
    "hotmail.co.uk", "hotmail.com", "hotmail.fr", "icloud.com", "laposte.net", "libero.it", "live.com", "mac.com",
    "mail.ru", "me.com", "msn.com", "orange.fr", "outlook.com", "proton.me", "protonmail.com", "qq.com",
    "t-online.de", "verizon.net", "web.de", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com", "yahoo.fr", "yandex.ru",
    "ymail.com", "163.com",
)  # fmt: skip
"""Domains whose mailboxes belong to everybody: no company's own."""

_NOTHING = ("", " ", "null", "none", "nil", "n/a", "na", "nan", "unknown", "undefined", "not provided", "-", "\\n")
_WORDS = ("null", "none", "nil", "n/a", "nan", "unknown", "undefined", "not provided", "not available", "not set")
_MASKS = "*#•●"
_SEPARATORS = " .-_/()+,:"
_UP, _DOWN = "01234567890123456789", "98765432109876543210"


def _digests() -> tuple[str, ...]:
    """Digests of texts that mean nothing, as they are after lower-casing: hexadecimal and base64."""
    spellings = {spell(text) for text in _NOTHING for spell in (str.lower, str.upper, str.title)}
    made = {hashlib.new(name, text.encode()) for name in ("md5", "sha1", "sha256", "sha512") for text in spellings}
    coded = {base64.b64encode(one.digest()).decode().lower() for one in made}
    return tuple(sorted({one.hexdigest() for one in made} | coded | {text.rstrip("=") for text in coded}))


DIGESTS_OF_NOTHING = _digests()


def hollow(kind: str, text: Text) -> Text | None:
    """Why a comparable form of a field of this type means nothing, null where it means something; None: never.

    Every record is asked, so what is dear is asked of those only that something cheap makes suspicious.
    """
    if kind == "email":
        return _case(_email(text))
    if kind == "domain":
        return _case([(text.in_(MAIL_PROVIDERS), "mail-provider"), (text.in_(NOBODYS_DOMAINS), "placeholder")])
    if kind == "phone":
        return _case([(_trivial(sa.func.right(_digits(text), 8), 7), "trivial-number"), *_masked(text)])
    if kind in ("text", "name", "url"):
        return _case(_text(text) if kind == "text" else [*_masked(text, 1), *_digested(text)])
    return None


def hollow_key(key: Text) -> Text:
    """The same of a text that should be another record's key."""
    lower = sa.func.lower(key, type_=sa.Text)
    return _case([(_only(_digits(lower), "0"), "placeholder"), *_text(lower)])


def _case(reasons: list[tuple[Condition, str]]) -> Text:
    return sa.case(*((condition, sa.literal(reason, sa.Text)) for condition, reason in reasons), else_=sa.null())


def _where(cheap: Condition, dear: Condition) -> Condition:
    """Both; an engine that computes all sides of an AND for all rows computes a CASE where it must."""
    return sa.case((cheap, dear), else_=sa.false())


def _text(text: Text) -> list[tuple[Condition, str]]:
    listed = (text.in_(_WORDS), "placeholder")
    address = [(_where(sa.func.strpos(text, "@") > 0, condition), reason) for condition, reason in _email(text)]
    return [listed, *_masked(text), *_digested(text), (_trivial(_digits(text), 7), "trivial-number"), *address]


def _email(text: Text) -> list[tuple[Condition, str]]:
    mailbox, domain = sa.func.split_part(text, "@", 1), sa.func.split_part(text, "@", 2)
    local = sa.func.split_part(mailbox, "+", 1)
    reserved = sa.or_(*(domain.endswith(f".{end}", autoescape=True) for end in _RESERVED))
    echoed = sa.and_(sa.func.split_part(domain, ".", 1) == local, sa.func.length(local) > 1)
    nobodys = _where(local.in_(STAND_INS), sa.or_(domain.in_(NOBODYS_DOMAINS), reserved, echoed))
    return [
        (local.in_(ROLE_MAILBOXES), "role-mailbox"),
        (sa.or_(local.in_(NOBODY), nobodys), "placeholder"),
        *_masked(mailbox),
        *_digested(mailbox),
    ]


def _digested(text: Text) -> list[tuple[Condition, str]]:
    return [(_where(sa.func.length(text) >= 22, text.in_(DIGESTS_OF_NOTHING)), "digest-of-nothing")]


def _masked(text: Text, least: int = 2) -> list[tuple[Condition, str]]:
    """Nothing but so many mask signs, or a run of them that hides a part."""
    bare = sa.func.translate(text, _SEPARATORS, "")
    only = sa.and_(sa.func.length(bare) >= least, sa.func.translate(bare, _MASKS + "x", "") == "")
    whole = _where(sa.func.substr(text, 1, 1).in_(list(_MASKS + "x" + _SEPARATORS)), only)
    run = sa.func.strpos(sa.func.translate(text, _MASKS, _MASKS[0] * len(_MASKS)), _MASKS[0] * 2) > 0
    return [(sa.or_(sa.func.strpos(text, "xxxx") > 0, run, whole), "masked")]


def _digits(text: Text) -> Text:
    return sa.func.translate(text, _SEPARATORS, "", type_=sa.Text)


def _only(text: Text, sign: Text | str) -> Condition:
    return sa.and_(text != "", sa.func.replace(text, sign, "") == "")


def _trivial(digits: Text, least: int) -> Condition:
    """One digit over and over, or digits in their order: at least so many."""
    ordered = sa.or_(sa.func.strpos(_UP, digits) > 0, sa.func.strpos(_DOWN, digits) > 0)
    repeated = sa.and_(
        sa.func.substr(digits, 1, 1).in_(list("0123456789")), _only(digits, sa.func.substr(digits, 1, 1))
    )
    return _where(sa.func.length(digits) >= least, sa.or_(repeated, ordered))
