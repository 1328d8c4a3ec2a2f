"""The demo company, day by day: it writes its extracts and takes corrections to heart.

Belongs here: `Demo`, which holds what the tools were told to correct. Does not: the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

from sor_pipeline.demo import days as events
from sor_pipeline.demo.clock import date_of, midnight
from sor_pipeline.demo.company import FIGHTER, Company, found
from sor_pipeline.demo.tools.all import STREAMS
from sor_pipeline.demo.tools.stream import Stream
from sor_pipeline.demo.truth import Truth, truth
from sor_pipeline.demo.write import content, write

DOCUMENT = Path(__file__).with_name("ownership.yaml")
FIGHT = ("marketo.leads", "email")
"""The source and column in which the fight takes place."""
_TOLD = {
    "source": pl.String,
    "key": pl.String,
    "column": pl.String,
    "base": pl.String,
    "wanted": pl.String,
    "day": pl.Int64,
}


@dataclass(frozen=True)
class Applied:
    """How many corrections the tools took, and how many they refused because the cell had changed or is unknown."""

    taken: int
    refused: int


class Demo:
    """Nine tools of one company. Arguments decide everything: the same ones give the same bytes.

    `write_day` for 1, 2, …; `apply` between two days; `truth` of any day. Days after `days` are quiet:
    nobody edits anything, the tools only obey.
    """

    def __init__(self, folder: Path, *, seed: int = 7, contacts: int = 400, days: int = 5) -> None:
        self.folder = Path(folder)
        self.days = days
        self.company: Company = found(seed, contacts, days)
        self._bases = {source: stream.begin(self.company) for source, stream in STREAMS.items()}
        self._told = pl.DataFrame(schema=_TOLD)
        self._day = 0

    @property
    def fighter_key(self) -> str:
        """Key of the marketing platform's record over whose e-mail the fight is."""
        return str(self._bases[FIGHT[0]].filter(pl.col("truth") == FIGHTER)["key"].item())

    def state(self, source: str, day: int) -> pl.DataFrame:
        """What the tool believes on `day`, as `tools.stream` describes; corrections apart."""
        return events.believed(STREAMS[source], self._bases[source], self.company.seed, day, self.days)

    def truth(self, day: int) -> Truth:
        """What is right, given what was delivered well up to `day`."""
        return truth(self.company, self.state, day)

    def write_day(self, day: int) -> list[Path]:
        """Writes what is delivered on `day` (late files and repeats too) below `folder`; returns the files."""
        self._day = day
        written = []
        for source, stream in STREAMS.items():
            for of in range(1, day + 1):
                if events.delivered_on(source, of, self.days) == day:
                    path = self.folder / stream.path.format(date=date_of(of).isoformat())
                    self._deliver(path, stream, of)
                    written.append(path)
                if events.AGAIN.get((source, of)) == day:
                    path = self.folder / stream.path.format(date=f"resent-{date_of(of).isoformat()}")
                    self._deliver(path, stream, of)
                    written.append(path)
        return written

    def shown(self, source: str, day: int) -> pl.DataFrame:
        """The rows of the extract of `day`, in the tool's own columns, all text, corrections included."""
        stream = STREAMS[source]
        rows = self.state(source, day)
        whole = self._corrected(stream, stream.show(rows, day), day)
        told_today = self._told.filter((pl.col("source") == source) & (pl.col("day") == day))["key"].implode()
        if stream.mode == "snapshot":
            chosen = ~rows["gone"]
        elif stream.mode == "events":
            chosen = rows["arrives"] == day
        else:
            chosen = (rows["touched"] == day) | rows.select(
                (pl.col("key").is_in(told_today)) & ~pl.col("gone")
            ).to_series()
        return whole.filter(chosen)

    def apply(self, corrections: pa.Table | Path) -> Applied:
        """Applies corrections to the tools, compare-and-set; the next day's extracts show them.

        `corrections`: a table, or a file of JSON lines, with text columns source, source_key, column,
        observed, wanted (others are ignored). A blank and a null are the same.
        """
        asked = pl.DataFrame(pl.from_arrow(corrections)) if isinstance(corrections, pa.Table) else _read(corrections)
        if asked.is_empty():
            return Applied(0, 0)
        taken = 0
        for (source,), rows in asked.group_by("source", maintain_order=True):
            if source in STREAMS:
                taken += self._take(STREAMS[str(source)], rows)
        return Applied(taken, asked.height - taken)

    def _take(self, stream: Stream, asked: pl.DataFrame) -> int:
        rows = self.state(stream.source, self._day)
        base = stream.show(rows, self._day).filter(~rows["gone"])
        now = self._corrected(stream, base, self._day)
        columns = [c for c in asked["column"].unique().to_list() if c in base.columns and c != stream.key]
        if not columns:
            return 0
        cells = _cells(base, stream.key, columns, "base").join(
            _cells(now, stream.key, columns, "now"), on=["key", "column"]
        )
        wishes = asked.select(
            key=pl.col("source_key").cast(pl.String),
            column=pl.col("column").cast(pl.String),
            observed=pl.col("observed").cast(pl.String).fill_null(""),
            wanted=pl.col("wanted").cast(pl.String).fill_null(""),
        )
        granted = wishes.join(cells, on=["key", "column"]).filter(pl.col("observed") == pl.col("now"))
        told = granted.select(
            source=pl.lit(stream.source),
            key="key",
            column="column",
            base="base",
            wanted="wanted",
            day=pl.lit(self._day + 1, pl.Int64),
        )
        kept = self._told.join(told, on=["source", "key", "column"], how="anti")
        self._told = pl.concat([kept, told])
        return told.height

    def _corrected(self, stream: Stream, shown: pl.DataFrame, day: int) -> pl.DataFrame:
        """`shown` with the corrections in force: those whose cell nobody in the tool has changed since."""
        told = self._told.filter((pl.col("source") == stream.source) & (pl.col("day") <= day))
        imported = events.imported_last(day, self.days) if stream.source == FIGHT[0] else 0
        fighting = imported == day
        if imported:
            fought = (pl.col("key") == self.fighter_key) & (pl.col("column") == FIGHT[1])
            told = told.filter(~fought | (pl.col("day") > imported))
        stamps = (
            told.group_by("key").agg(day=pl.max("day"))
            if told.height
            else pl.DataFrame(schema={"key": pl.String, "day": pl.Int64})
        )
        for (column,), wishes in told.group_by("column", maintain_order=True):
            name = str(column)
            wished = wishes.select(pl.col("key").alias(stream.key), _base="base", _wanted="wanted")
            shown = shown.join(wished, on=stream.key, how="left", maintain_order="left")
            shown = shown.with_columns(
                pl.when(pl.col(name) == pl.col("_base")).then("_wanted").otherwise(name).alias(name)
            )
            shown = shown.drop("_base", "_wanted")
        if fighting:
            mine = pl.DataFrame({"key": [self.fighter_key], "day": [day]}, schema={"key": pl.String, "day": pl.Int64})
            stamps = pl.concat([stamps.filter(pl.col("key") != self.fighter_key), mine])
        return _stamped(stream, shown, stamps)

    def _deliver(self, path: Path, stream: Stream, day: int) -> None:
        shown = self.shown(stream.source, day)
        if (stream.source, day) in events.WRONG_HEADER:
            shown = shown.rename({stream.key: "Export no."})
        write(path, stream, shown)
        if (stream.source, day) in events.CUT_SHORT:
            whole = content(path.name, stream, shown)
            path.write_bytes(whole[: len(whole) // 2])


def generate(folder: Path, *, seed: int = 7, contacts: int = 400, days: int = 5) -> Demo:
    """All days at once, in `folder`, with nobody correcting anything."""
    demo = Demo(folder, seed=seed, contacts=contacts, days=days)
    for day in range(1, days + 1):
        demo.write_day(day)
    return demo


def _cells(shown: pl.DataFrame, key: str, columns: list[str], name: str) -> pl.DataFrame:
    return shown.unpivot(columns, index=key, variable_name="column", value_name=name).rename({key: "key"})


def _stamped(stream: Stream, shown: pl.DataFrame, stamps: pl.DataFrame) -> pl.DataFrame:
    """A corrected record says so in its column of the last change, an hour before that day's extract is taken."""
    if stream.stamp is None or stamps.is_empty():
        return shown
    moments = {day: midnight(day) - timedelta(hours=1) for day in stamps["day"].unique().to_list()}
    at = stamps.select(
        key="key", truth=pl.lit(0), changed=pl.col("day").replace_strict(moments, return_dtype=pl.Datetime("us"))
    )
    texts = at.select("key", _at=_stamp_text(stream)).rename({"key": stream.key})
    shown = shown.join(texts, on=stream.key, how="left", maintain_order="left")
    return shown.with_columns(pl.max_horizontal("_at", stream.stamp).alias(stream.stamp)).drop("_at")


def _stamp_text(stream: Stream) -> pl.Expr:
    """The stamp in the tool's own form, which sorts as time does."""
    form = {
        "hubspot": "%Y-%m-%dT%H:%M:%S.000Z",
        "mailchimp": "%Y-%m-%dT%H:%M:%S+00:00",
        "bamboohr": "%Y-%m-%dT%H:%M:%S+00:00",
    }.get(stream.source.split(".")[0], "%Y-%m-%dT%H:%M:%SZ")
    return pl.col("changed").dt.strftime(form)


def _read(path: Path) -> pl.DataFrame:
    columns = ("source", "source_key", "column", "observed", "wanted")
    if path.stat().st_size == 0:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.read_ndjson(path, schema=dict.fromkeys(columns, pl.String))
