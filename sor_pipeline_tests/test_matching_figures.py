"""How good similarity is on public record-linkage sets, with default options and fields typed as a person would.

The sets lie beside the repository; where they do not, nothing is tested.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sor_pipeline.flow import STEPS, opened, pass_through
from sor_pipeline.identify.scores import Scores, measure
from sor_pipeline.identify.similar.model import train
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings

SETS = Path(__file__).parents[2] / "shared" / "matching"
UP_TO_IDENTIFY = tuple(step for step in STEPS if step.name in ("extract", "stage", "identify"))
Fields = dict[str, dict[str, Any]]


def document(fields: Fields, similar: list[Any], sources: dict[str, tuple[str, str]], **mapped: Any) -> Ownership:
    """`sources`: name -> file and key column; every field is mapped by its own name, but for `mapped`."""
    return Ownership.model_validate(
        {
            "systems": {name.split(".")[0]: {} for name in sources},
            "entities": {
                "contact": {"owner": next(iter(sources)).split(".")[0], "match": [{"similar": similar}], "fields": fields}
            },
            "sources": {
                name: {
                    "entity": "contact", "key": key, "extract": {"files": file, "mode": "snapshot"},
                    "fields": {field: mapped.get(field, field) for field in fields},
                }
                for name, (file, key) in sources.items()
            },
        }
    )  # fmt: skip


def scored(home: Path, name: str, ownership: Ownership, truth: pl.DataFrame) -> Scores:
    """Staged, learned from without a label, clustered, and compared with the truth (source, key, cluster)."""
    folder = SETS / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    config = Settings.read({}, ownership=home / "ownership.yaml", home=home, extracts=folder)
    with opened(ownership, config, datetime(2026, 1, 1)) as run:
        pass_through(run, UP_TO_IDENTIFY[:2])
        assert train(run, "contact") is not None
        passage = pass_through(run, UP_TO_IDENTIFY[2:])
        assert [fault.code for fault in passage.faults] == []
        with run.engine.begin() as connection:
            return measure(run, connection, "contact", truth.to_arrow())


def rows(name: str, file: str) -> pl.DataFrame:
    path = SETS / name / file
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return pl.read_csv(path, infer_schema=False)


def test_fake_1000(tmp_path: Path) -> None:
    """Names, one birthday in four wrong, a town, an e-mail; each person up to seven times in one source."""
    fields: Fields = {
        "first_name": {"type": "name"}, "surname": {"type": "name"}, "dob": {"type": "date"},
        "city": {"type": "text"}, "email": {"type": "email"},
    }  # fmt: skip
    truth = rows("fake_1000", "fake_1000.csv").select(source=pl.lit("crm.people"), key="unique_id", cluster="cluster")
    crm = {"crm.people": ("fake_1000.csv", "unique_id")}
    scores = scored(tmp_path, "fake_1000", document(fields, list(fields), crm), truth)
    assert (scores.records, scores.unknown) == (1000, 0)
    assert scores.f1 >= 0.90
    assert scores.precision >= 0.999
    assert scores.over_merged == 0


def test_febrl1(tmp_path: Path) -> None:
    """500 people and a distorted copy of each."""
    fields: Fields = {
        "given_name": {"type": "name"}, "surname": {"type": "name"}, "date_of_birth": {"type": "date"},
        "soc_sec_id": {"type": "text", "unique": True}, "street_number": {}, "address_1": {}, "address_2": {},
        "suburb": {}, "postcode": {"type": "postal_code"}, "state": {},
    }  # fmt: skip
    address = {"address": ["street_number", "address_1", "address_2", "suburb", "postcode"]}
    similar = ["given_name", "surname", "date_of_birth", "soc_sec_id", address, "state"]
    born = {"from": "date_of_birth", "format": "%Y%m%d"}
    crm = {"crm.people": ("febrl1.csv", "rec_id")}
    pairs = rows("febrl1", "febrl1_links.csv")
    one, other = pairs.columns
    clusters = pl.concat([pairs.select(key=one, cluster=one), pairs.select(key=other, cluster=one)])
    truth = clusters.select(pl.lit("crm.people").alias("source"), "key", "cluster")
    scores = scored(tmp_path, "febrl1", document(fields, similar, crm, date_of_birth=born), truth)
    assert (scores.records, scores.true) == (1000, 500)
    assert scores.f1 >= 0.99
    assert scores.precision == 1.0


@pytest.mark.parametrize("told", ["everything", "no addresses"])
def test_three_systems_of_one_company(tmp_path: Path, told: str) -> None:
    """No truth was given. What is held against the clusters is the running number in each e-mail's local part, which
    the systems share though domains and the names' spellings differ: with the e-mail among the fields, and without,
    when names, phones (four in ten are no valid numbers) and postal addresses have to find the same clusters alone."""
    fields: Fields = {
        "first_name": {"type": "name"}, "last_name": {"type": "name"}, "email": {"type": "email"},
        "phone": {"type": "phone", "region": "US"}, "address": {"type": "text"}, "city": {"type": "text"},
        "zip": {"type": "postal_code"},
    }  # fmt: skip
    systems = ("crm", "billing", "support")
    number = pl.concat(
        rows("crm_billing_support", f"{system}.csv").select(
            source=pl.lit(f"{system}.people"), key="source_customer_id", cluster=pl.col("email").str.extract(r"(\d+)@")
        )
        for system in systems
    )
    assert number["cluster"].null_count() == 0
    people = {f"{system}.people": (f"{system}.csv", "source_customer_id") for system in systems}
    compared = [name for name in fields if told == "everything" or name != "email"]
    scores = scored(tmp_path, "crm_billing_support", document(fields, compared, people), number)
    assert (scores.records, scores.clusters) == (988, 372)
    assert scores.precision >= 0.999
    assert scores.recall >= (0.99 if told == "everything" else 0.97)
    assert scores.over_merged == 0
