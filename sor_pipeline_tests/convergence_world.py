"""Worlds for the law of convergence: three systems with every kind of rule, whose extracts take corrections.

Identity hangs on links only: where a corrected field is a matching key too, a correction may cut the tie by which its
record was found, and the entities themselves move (see docs/convergence.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sor_pipeline.ownership.document import Ownership
from sor_pipeline_tests.flow_world import Site

FIELDS = ("email", "name", "title", "street", "city", "stage", "mrr", "opted_in", "country", "account")
OVERNIGHT = {"target": {"kind": "files", "live": True, "max_share": 1}}
DOCUMENT = Ownership.model_validate(
    {
        "systems": {"crm": OVERNIGHT, "mail": OVERNIGHT, "desk": OVERNIGHT},
        "entities": {
            "account": {"owner": "crm", "match": [{"linked": {"mail.companies.crm_id": "crm.accounts"}}],
                        "fields": {"label": {"type": "name"}}},
            "contact": {
                "owner": "crm",
                "match": [{"linked": {"mail.people.crm_id": "crm.people", "desk.people.crm_id": "crm.people"}}],
                "groups": {"address": {"owner": "desk", "fallback": ["crm"]}},
                "fields": {
                    "email": {"type": "email"},
                    "name": {"type": "name", "fallback": ["mail", "desk"]},
                    "title": {"type": "text", "fallback": ["desk"], "stale_after": "400 days"},
                    "street": {"type": "text", "group": "address"},
                    "city": {"type": "text", "group": "address"},
                    "stage": {"type": "choice", "of": ["lead", "customer"], "owner": "mail", "reflect_in": ["desk"]},
                    "mrr": {"type": "decimal", "owner": "desk", "reflect_in": ["crm"], "tolerance": 0.01},
                    "opted_in": {
                        "type": "boolean", "owner": "mail", "fallback": ["desk"],
                        "exceptions": [{"when": "country = 'DE'", "owner": "crm", "reason": "law"}],
                    },
                    "country": {"type": "country", "fallback": ["desk", "mail"]},
                    "account": {"type": "ref", "to": "account"},
                },
            },
        },
        "sources": {
            "crm.accounts": {"entity": "account", "key": "id", "fields": {"label": "label"},
                             "extract": {"files": "crm_accounts-*.csv", "max_shrink": 1}},
            "mail.companies": {"entity": "account", "key": "id", "fields": {"label": "label"}, "accepts": ["label"],
                               "extract": {"files": "mail_companies-*.csv", "max_shrink": 1}},
            "crm.people": {
                "entity": "contact", "key": "id", "changed_at": "at",
                "fields": {name: name for name in FIELDS},
                "extract": {"files": "crm_people-*.csv", "max_shrink": 1},
                "accepts": ["opted_in", "street", "city"],
            },
            "mail.people": {
                "entity": "contact", "key": "id", "changed_at": "at",
                "fields": {**{name: name for name in FIELDS}, "stage": {"from": "stage", "codes": {"L": "lead", "C": "customer"}},
                           "mrr": {"from": "mrr", "scale_by": 0.01}},
                "extract": {"files": "mail_people-*.csv", "max_shrink": 1},
                "accepts": ["email", "name", "title", "mrr", "opted_in", "country", "account"],
            },
            "desk.people": {
                "entity": "contact", "key": "id",
                "fields": {**{name: name for name in FIELDS},
                           "opted_in": {"from": "opted_in", "true_texts": ["Y"], "false_texts": ["N"]}},
                "extract": {"files": "desk_people-*.csv", "max_shrink": 1},
                "accepts": ["email", "name", "title", "opted_in", "country"],
            },
        },
    }
)  # fmt: skip
STREAMS = {
    "crm.accounts": ("id", "label"), "mail.companies": ("id", "label", "crm_id"),
    "crm.people": ("id", *FIELDS, "at"), "mail.people": ("id", *FIELDS, "crm_id", "at"),
    "desk.people": ("id", *FIELDS, "crm_id"),
}  # fmt: skip
Rows = dict[str, list[dict[str, str]]]

_TEXTS = {
    "email": ["", "a@x.example", "B@x.example", "b@x.example", "c@y.example", "nonsense"],
    "name": ["", "Ann", "ANN", "Bob", "N/A"],
    "title": ["", "Boss", "Clerk", "  Clerk "],
    "street": ["", "1 High St", "2 Low St"],
    "city": ["", "Oslo", "Bern"],
    "mrr": ["", "10.00", "1000", "12.5", "x"],
    "opted_in": ["", "true", "false", "Y", "N", "maybe"],
    "country": ["", "DE", "Germany", "US", "Atlantis"],
}
_STAGE = {"mail": ["", "L", "C", "Z"], "crm": ["", "lead", "customer"], "desk": ["", "lead", "customer", "lost"]}
_DAYS = ["2023-01-01 00:00:00", "2026-02-01 00:00:00", "2026-02-02 00:00:00"]


@st.composite
def worlds(draw: st.DrawFn) -> Rows:
    """What each source exports: a few records each, some linked to the CRM's."""
    made: Rows = {
        "crm.accounts": [{"id": key, "label": draw(st.sampled_from(_TEXTS["name"]))} for key in "pq"],
        "mail.companies": [
            {"id": f"m{key}", "label": draw(st.sampled_from(_TEXTS["name"])), "crm_id": key}
            for key in draw(st.sets(st.sampled_from("pq")))
        ],
    }
    for stream, keys in (("crm.people", "123"), ("mail.people", "uvwx"), ("desk.people", "yz")):
        system = stream.split(".")[0]
        accounts = ["", "mp", "mq", "zz"] if system == "mail" else ["", "p", "q"]
        made[stream] = []
        for key in sorted(draw(st.sets(st.sampled_from(keys), min_size=1))):
            row = {name: draw(st.sampled_from(texts)) for name, texts in _TEXTS.items()}
            row |= {
                "id": key,
                "stage": draw(st.sampled_from(_STAGE[system])),
                "account": draw(st.sampled_from(accounts)),
            }
            row |= {"crm_id": draw(st.sampled_from(["1", "1", "2", "9"])), "at": draw(st.sampled_from(_DAYS))}
            made[stream].append({name: row[name] for name in STREAMS[stream]})
    return made


class Company(Site):
    """A site whose tools can be told corrections."""

    def __init__(self, folder: Path, rows: Rows, document: Ownership = DOCUMENT) -> None:
        super().__init__(folder, document)
        self.rows = {stream: [dict(row) for row in listed] for stream, listed in rows.items()}

    def export(self, day: int) -> None:
        """One extract of every source, as its tool has it that day."""
        for stream, header in STREAMS.items():
            self.put(stream.replace(".", "_"), day, header, self.rows[stream])

    def obey(self, stamp: str) -> int:
        """Every tool stores every open correction, and says so in its time of change; returns how many there were."""
        told = self.corrections()
        for source, key, field, observed, wanted in told:
            row = next(row for row in self.rows[source] if row["id"] == key)
            assert row[field] == (observed or "")
            row[field] = wanted
            if "at" in row:
                row["at"] = stamp
        return len(told)

    def published(self) -> dict[str, list[tuple[Any, ...]]]:
        """The entities and whose word each cell is."""
        names = ("account", "account_source", "contact", "contact_source")
        return {name: self.query(f"SELECT * FROM conformed.{name} ORDER BY ALL") for name in names}
