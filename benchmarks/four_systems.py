"""Four systems that all say something about every field of one entity: their document and their extracts.

Belongs here: made-up data of any size. Does not: measuring (`whole_run`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sor_pipeline.ownership.document import Ownership

SOURCES = ("crm.contacts", "mail.members", "desk.users", "bill.customers")
START = datetime(2026, 1, 1)
FIELDS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "required": True},
    "first_name": {"type": "name"},
    "last_name": {"type": "name"},
    "company": {"type": "text", "fallback": ["desk", "bill"]},
    "street": {"type": "text", "group": "address"},
    "city": {"type": "text", "group": "address"},
    "country": {"type": "country", "group": "address"},
    "opted_in": {
        "type": "boolean", "owner": "mail",
        "exceptions": [{"when": "country in ('DE', 'AT')", "owner": "crm", "reason": "double opt-in"}],
    },
    "mrr": {"type": "decimal", "owner": "bill"},
    "seats": {"type": "integer", "owner": "bill", "fallback": ["crm"]},
    "last_seen": {"type": "timestamp", "take": "latest"},
    "signed_on": {"type": "date", "owner": "crm", "fallback": ["bill"]},
}  # fmt: skip


def document() -> Ownership:
    """Four systems that all say something about every field of one entity."""
    return Ownership.model_validate(
        {
            "systems": {source.split(".")[0]: {} for source in SOURCES},
            "entities": {
                "contact": {
                    "owner": "crm",
                    "match": [{"same": ["email"]}],
                    "groups": {"address": {"owner": "bill", "fallback": ["crm"]}},
                    "fields": FIELDS,
                }
            },
            "sources": {
                source: {
                    "entity": "contact",
                    "extract": {"files": f"{source}-*.csv", "mode": "changes"},
                    "key": "id",
                    "changed_at": "updated_at",
                    "fields": {name: name for name in FIELDS},
                    "accepts": ["email", "company"] if source != "crm.contacts" else [],
                }
                for source in SOURCES
            },
        }
    )


def extract(number: int, entities: np.ndarray[Any, Any], day: int, rng: np.random.Generator) -> pl.DataFrame:
    """One source's rows for these entities on that day.

    A twentieth of the cells is blank, a tenth of the companies is written otherwise; `mrr` and `opted_in` are drawn
    anew by every source, so that there are more open conflicts than records: a hard case for resolve.
    """
    size = len(entities)
    text = pl.Series("n", entities).cast(pl.Utf8)
    wobble = pl.Series("w", rng.integers(0, 10, size)).cast(pl.Utf8)
    moment = START + timedelta(days=day)
    columns = {
        "id": "s" + pl.Series([str(number)]).first() + "-" + text,
        "email": "user" + text + "@company" + (pl.Series(entities) % 5000).cast(pl.Utf8) + ".example",
        "first_name": "First" + (pl.Series(entities) % 997).cast(pl.Utf8),
        "last_name": "Last" + (pl.Series(entities) % 9973).cast(pl.Utf8),
        "company": "Company "
        + (pl.Series(entities) % 5000).cast(pl.Utf8)
        + wobble.replace({"0": " Ltd", **{str(i): "" for i in range(1, 10)}}),
        "street": text + " Main St",
        "city": "City " + (pl.Series(entities) % 300).cast(pl.Utf8),
        "country": pl.Series(np.array(["US", "DE", "AT", "FR"])[entities % 4]),
        "opted_in": pl.Series(np.where(rng.random(size) < 0.5, "true", "false")),
        "mrr": (pl.Series(entities) % 900).cast(pl.Utf8) + "." + wobble + "0",
        "seats": (pl.Series(entities) % 40 + day).cast(pl.Utf8),
        "last_seen": pl.Series([moment.isoformat(sep=" ")] * size),
        "signed_on": pl.Series(["2025-06-01"] * size),
        "updated_at": pl.Series([(moment + timedelta(seconds=number)).isoformat(sep=" ")] * size),
    }
    frame = pl.DataFrame(columns)
    blanks = [
        pl.when(pl.Series(rng.random(size) < 0.05)).then(pl.lit("")).otherwise(pl.col(n)).alias(n)
        for n in FIELDS
        if n != "email"
    ]
    return frame.with_columns(blanks)


def write_day(folder: Path, day: int, entities: np.ndarray[Any, Any]) -> None:
    """One extract per source."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(day)
    for number, source in enumerate(SOURCES):
        stamp = (START + timedelta(days=day)).date().isoformat()
        extract(number, entities, day, rng).write_csv(folder / f"{source}-{stamp}.csv")
