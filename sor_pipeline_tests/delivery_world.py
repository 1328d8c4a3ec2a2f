"""A company with open corrections and a fake tool that they are delivered to.

Belongs here: the document of a target, corrections put into the tables, a clock that does not wait.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sor_pipeline.deliver.http import Pace
from sor_pipeline.deliver.step import run as deliver
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome, Run
from sor_pipeline.tables import Tables
from sor_pipeline_tests.fake_targets import Fake
from sor_pipeline_tests.published_world import hands, hands_again, rows_of

SOURCE = "tool.people"
FIELDS = ("email", "name", "mrr")
PLACES: dict[str, dict[str, Any]] = {
    "hubspot": {"object": "contacts"},
    "salesforce": {"object": "Contact"},
    "zendesk": {"object": "users"},
    "stripe": {"object": "customers"},
    "rest": {"object": "people"},
    "files": {"object": "people"},
    "table": {"object": "inbox"},
}
REST = {
    "path": "/people/{id}", "body": {"data": "{fields}"}, "read": "/people/{id}", "values": "data", "etag": True,
    "success": {"ok": True},
}  # fmt: skip


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def pace(self) -> Pace:
        return Pace(self.sleep, lambda: self.now, lambda: 0.5)


def document(kind: str, url: str | None = None, place: dict[str, Any] | None = None, **target: Any) -> Ownership:
    spec: dict[str, Any] = {"kind": kind, "live": True, "max_rows": 100_000, "max_share": 1, "timeout": 0.5, **target}
    if kind not in ("files", "table"):
        spec |= {"url": url, "insecure": True, "secret": spec.get("secret", "TOOL_TOKEN")}
    if kind == "rest":
        spec.setdefault("rest", REST)
    return Ownership.model_validate(
        {
            "systems": {"crm": {}, "tool": {"target": spec}},
            "entities": {
                "contact": {
                    "owner": "crm",
                    "fields": {"email": {"type": "email", "personal": True}, "name": {"type": "name"}, "mrr": {"type": "decimal"}},
                }
            },
            "sources": {
                "crm.contacts": {"entity": "contact", "extract": {"files": "c.csv"}, "key": "id", "fields": {n: n for n in FIELDS}},
                SOURCE: {
                    "entity": "contact", "extract": {"files": "p.csv"}, "key": "id", "fields": {n: n for n in FIELDS},
                    "accepts": list(FIELDS), "target": {**PLACES[kind], **(place or {})},
                },
            },
        }
    )  # fmt: skip


_HANDS: list[Run] = []


def _template() -> Path:
    """A state folder with empty tables: they are the same for every target."""
    if not _HANDS:
        _HANDS.append(hands(Path(tempfile.mkdtemp(prefix="sor-delivery-")), document("files")))
    return _HANDS[0].settings.home


def company(folder: Path, ownership: Ownership) -> Run:
    """A run with one publication behind it."""
    shutil.copytree(_template(), folder, dirs_exist_ok=True)
    run = hands_again(replace(_HANDS[0], ownership=ownership, tables=Tables(ownership)), folder)
    with run.engine.begin() as connection:
        connection.execute(sa.insert(run.tables.publication).values(publication=1, fingerprint=ownership.fingerprint))
    return run


def correct(run: Run, rows: Iterable[tuple[str, str, str | None, str]], proposed_in: int = 1) -> None:
    """Open corrections (key, field, observed, wanted), and the records that they are about."""
    listed = list(rows)
    if not listed:
        return
    table, staged = run.tables.correction, run.tables.staged[SOURCE]
    with run.engine.begin() as connection:
        connection.execute(
            sa.insert(table),
            [
                {"source": SOURCE, "source_key": key, "field": field, "proposed_in": proposed_in, "system": "tool",
                 "column": field, "entity": "contact", "entity_id": f"e{key}", "observed": observed, "wanted": wanted,
                 "owner": "crm", "rule": "owner", "state": "proposed"}
                for key, field, observed, wanted in listed
            ],
        )  # fmt: skip
        connection.execute(sa.insert(staged), [{"_key": key} for key in dict.fromkeys(row[0] for row in listed)])


def delivered(run: Run, clock: Clock | None = None) -> Outcome:
    with run.engine.held():
        return deliver(run, "tool", (clock or Clock()).pace())


def later(run: Run, days: int = 1) -> Run:
    return replace(run, now=run.now + timedelta(days=days))


def states(run: Run) -> dict[tuple[str, str], str]:
    return {(row["source_key"], row["field"]): row["state"] for row in rows_of(run, run.tables.correction)}


def attempts(run: Run) -> list[tuple[str, str, int, str, str]]:
    """(key, field, attempt, outcome, status), in order."""
    rows = rows_of(run, run.tables.attempt)
    return sorted((r["source_key"], r["field"], r["attempt"], r["outcome"], r["status"]) for r in rows)


def filled(fake: Fake, values: dict[str, dict[str, Any]]) -> None:
    fake.store.update({key: dict(row) for key, row in values.items()})
