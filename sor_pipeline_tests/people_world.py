"""A small company whose records have to be told apart: three systems, contacts and firms, one run done.

Cases and pairs are written straight into the tables: who finds them is another step's business.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sor_pipeline.flow import STEPS, opened, pass_through, reading
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings

NOW = datetime(2026, 3, 1, 12)
QUICK = tuple(step for step in STEPS if step.name != "check")
DOCUMENT = """\
systems:
  crm: {title: Our CRM, role: record}
  desk: {title: Help desk, role: engagement}
  mail: {title: Mailer, role: engagement}
entities:
  contact:
    owner: crm
    match:
      - linked: {desk.users.crm_id: crm.contacts}
      - same: [email]
    fields:
      email: {type: email, personal: true}
      name: {type: name, personal: true}
      city: {type: text}
  firm:
    owner: crm
    fields:
      name: {type: name}
sources:
  crm.contacts:
    entity: contact
    extract: {files: "crm/contacts-*.csv"}
    key: id
    fields: {email: email, name: name, city: city}
  crm.firms:
    entity: firm
    extract: {files: "crm/firms-*.csv"}
    key: id
    fields: {name: name}
  desk.users:
    entity: contact
    extract: {files: "desk/*.csv"}
    key: id
    fields: {email: email, name: name, city: city}
  mail.members:
    entity: contact
    unique: true
    extract: {files: "mail/*.csv", max_shrink: 1}
    key: id
    fields: {email: email, name: name}
"""
EXTRACTS = {
    "crm/contacts": """\
id,email,name,city
1,ann@x.example,Ann Able,Oslo
2,info@x.example,Bo Baker,Bern
3,cy@x.example,Cy Cole,Rome
4,,Di Dunn,
""",
    "crm/firms": "id,name\n1,Acme\n",
    "desk/users": """\
id,email,name,city,crm_id
u1,ann.able@home.example,A. Able,Oslo,1
u2,info@x.example,Bob Baker,Bern,
u3,n/a,Cyrus Cole,Roma,
""",
    "mail/members": """\
id,email,name
m1,ann@x.example,Ann A
m2,cy.cole@x.example,Cy Cole
m:3 x,ann.able@home.example,Ann Able
""",
}
CY = ("crm.contacts:3", "mail.members:m2")
"""Two records that nothing ties."""
ANN = ("crm.contacts:1", "mail.members:m1")
"""Two records that share an e-mail."""


class People:
    """One state folder and its extracts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document = folder / "ownership.yaml"
        self.document.write_text(DOCUMENT, encoding="utf-8")
        self.deliver(1, EXTRACTS)

    @classmethod
    def at(cls, folder: Path) -> People:
        """The company that lives there already."""
        found = cls.__new__(cls)
        found.folder, found.document = folder, folder / "ownership.yaml"
        return found

    @property
    def settings(self) -> Settings:
        return Settings.read({}, ownership=self.document, home=self.folder / ".sor")

    @property
    def ownership(self) -> Ownership:
        return load_checked(self.document)

    def deliver(self, day: int, extracts: dict[str, str]) -> None:
        for name, text in extracts.items():
            path = self.folder / f"{name}-2026-03-{day:02}.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def run(self, day: int = 1) -> None:
        with opened(self.ownership, self.settings, NOW.replace(day=day)) as hands:
            pass_through(hands, QUICK)

    def write(self, run: Run, table: sa.Table, **values: Any) -> None:
        with run.engine.begin() as connection:
            connection.execute(sa.insert(table).values(**values))

    def forget_cases(self) -> None:
        """Those that the run opened: the test has its own."""
        with opened(self.ownership, self.settings, NOW) as hands, hands.engine.begin() as connection:
            connection.execute(sa.delete(hands.tables.case))

    def wait(self, pair: tuple[str, str], kind: str = "review", weight: float | None = 5.0, **more: Any) -> None:
        """An open case about two records, and for a review the pair behind it."""
        left, right = sorted(name.partition(":")[::2] for name in pair)
        ends = {"left_source": left[0], "left_key": left[1], "right_source": right[0], "right_key": right[1]}
        rule = more.pop("rule", "similar")
        with opened(self.ownership, self.settings, NOW) as hands:
            if rule == "similar":
                levels = json.dumps({"name": "nickname", "email": "missing"})
                self.write(hands, hands.tables.pair["contact"], **ends, weight=weight, probability=0.83, levels=levels,
                           verdict="review", veto=more.pop("veto", None), _publication=1)  # fmt: skip
            self.write(hands, hands.tables.case, case_id=f"{pair[0]}{pair[1]}{kind}", entity="contact", kind=kind, **ends,
                       rule=rule, weight=weight, evidence=more.pop("evidence", "{}"), opened_in=1)  # fmt: skip

    def ledger(self) -> list[Any]:
        with reading(self.ownership, self.settings) as hands, hands.engine.begin() as connection:
            table = hands.tables.decision
            return list(connection.execute(sa.select(table).order_by(table.c.decision)).fetchall())
