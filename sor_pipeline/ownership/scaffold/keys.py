"""Which column names a record, says when it changed, or that it is gone; and how a stream is delivered.

Belongs here: key, `changed_at`, deletion, mode, rhythm. Does not: types (`kinds`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

from sor_pipeline.ownership.loaders import DELETED as LOADERS_WORD
from sor_pipeline.ownership.loaders import LOADED_AT, deletion_texts
from sor_pipeline.ownership.scaffold.kinds import ENOUGH, guess
from sor_pipeline.ownership.scaffold.names import bare, singular, stream_words
from sor_pipeline.ownership.scaffold.sample import Column, Kind, Reads, Stream
from sor_pipeline.ownership.scaffold.words import CHANGED, DELETED, FALSE, GONE, IDS, LIVES, TRUE
from sor_pipeline.ownership.source import Mode

_MANY = 8
"""Columns that are tried in pairs and threes as a key."""
_SPELT_TRUE = ("true", "TRUE", "True", "t", "1", "yes", "Y")
_SPELT_FALSE = ("false", "FALSE", "False", "f", "0", "no", "N")
_RHYTHMS = {1: "hour", 24: "day", 7 * 24: "week", 30 * 24: "month", 31 * 24: "month"}


@dataclass(frozen=True)
class Key:
    """The columns that name a record; `unique` as far as the sample goes."""

    columns: tuple[str, ...]
    why: str
    unique: bool


@dataclass(frozen=True)
class Change:
    """The column of the time of the last change; `format` as in a mapping."""

    column: str
    format: str | None
    why: str


@dataclass(frozen=True)
class Deletion:
    """A column and the texts in it that mean deleted."""

    column: str
    texts: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Delivery:
    """Mode and rhythm, each with its reason; `every` is '' where nothing is known."""

    mode: Mode
    why: str
    every: str = ""
    cursor: str = ""


def key_of(stream: Stream, entity: str) -> Key:
    """A unique column, the likeliest name first; else two or three together; else what comes nearest."""
    usable = [column for column in stream.columns if _everywhere(column, stream) and len(column.name) <= 200]
    ranked = sorted(usable or stream.columns, key=lambda column: _rank(column, stream, entity))
    if not stream.rows:
        return Key((ranked[0].name,), "by its name; the sample has no rows", False)
    days = [column for column in ranked if _one_day_per_file(column)]
    for column in ranked:
        if column.unique and days and _rank(column, stream, entity) < 6:
            both = (column.name, days[0].name)
            return Key(both, f"unique in each file, and each file is of one `{days[0].name}`", True)
        if column.unique and _rank(column, stream, entity) < 6:
            return Key((column.name,), f"unique in {column.distinct:,} of {column.rows:,} rows", True)
    near = [c for c in ranked if _rank(c, stream, entity) < 3 and c.rows and c.distinct >= 0.95 * c.rows]
    if near:
        return Key((near[0].name,), f"{near[0].distinct:,} different texts in {near[0].rows:,} rows", True)
    return _joined(stream, [column for column in ranked if column.filled == column.rows][:_MANY], ranked)


def _one_day_per_file(column: Column) -> bool:
    """A day that is the same in a whole file and differs between files: the rows are of that day."""
    if bare(column.name) not in ("day", "date", "week", "month", "period", "report_date", "as_of", "as_of_date"):
        return False
    firsts = [cells[0] for cells in column.parts if cells]
    return len(set(firsts)) > 1 and all(len(set(cells)) <= 1 for cells in column.parts)


def _everywhere(column: Column, stream: Stream) -> bool:
    """Whether most files have it: a file with a wrong header must not cost the key."""
    return len(column.parts) * 2 > sum(bool(part.cells) for part in stream.parts)


def _rank(column: Column, stream: Stream, entity: str) -> int:
    """The likelier the name of a key, the less."""
    name = bare(column.name)
    words = stream_words(stream.stream, stream.system)
    own = {"_".join(words), entity, *words, *map(singular, words)}
    if name == "id":
        return 0
    if name in {f"{word}_{end}" for word in own for end in ("id", "number", "key", "no", "uuid")}:
        return 1
    if name in ("uuid", "guid", "key", "number", "unique_id", "record_id", "row_id"):
        return 2
    last = name.rpartition("_")[2]
    if last in IDS and last not in ("phone", "fax", "zip"):
        return 3
    if name in CHANGED or _times(column):
        return 8
    return 4 if last in ("email", "code", "name") else 5


def _times(column: Column) -> bool:
    return bool(column.texts) and all(re.match(r"\d{4}-\d{2}-\d{2}[T ]", text) for text in column.texts[:20])


def _joined(stream: Stream, filled: list[Column], ranked: list[Column]) -> Key:
    for size in (2, 3):
        for chosen in combinations(filled, size):
            distinct, rows = _together(stream, chosen)
            if distinct == rows:
                return Key(tuple(c.name for c in chosen), f"together unique in {distinct:,} of {rows:,} rows", True)
    ranks = {column.name: _rank(column, stream, "") for column in ranked}
    best = max(filled or ranked, key=lambda column: (ranks[column.name] < 4, column.distinct, -ranks[column.name]))
    why = f"NOT unique: {best.distinct:,} different texts in {best.rows:,} rows; name the right column, or several"
    return Key((best.name,), why, False)


def _together(stream: Stream, columns: tuple[Column, ...]) -> tuple[int, int]:
    """Distinct keys within each file, and rows, over the files that have all the columns."""
    distinct = rows = 0
    for part in stream.parts:
        if all(column.name in part.cells for column in columns):
            distinct += len(set(zip(*(part.cells[column.name] for column in columns), strict=True)))
            rows += part.rows
    return distinct, rows


def change_of(stream: Stream, key: Key, reads: Reads) -> Change | None:
    """The best named column whose texts are times in nearly every row; in a table, no time of loading."""
    for name in CHANGED:
        for column in stream.columns:
            if stream.table and column.name in LOADED_AT:
                continue
            named = name in (bare(column.name), column.name.lower())
            if not named or column.name in key.columns or not column.texts or column.filled < ENOUGH * column.rows:
                continue
            found = guess(column, name, "", reads)
            if found.kind.type in ("timestamp", "date"):
                last = " (when the extract was taken, so the last choice)" if "sync" in name else ""
                return Change(column.name, found.kind.format, f"{found.why}{last}")
    return None


def deletion_of(stream: Stream, key: Key) -> Deletion | None:
    """A flag that says deleted or, turned round, alive; or a status with a code that says so."""
    marked = next((name for name in LOADERS_WORD if any(column.name == name for column in stream.columns)), "")
    if marked:
        return Deletion(marked, deletion_texts(marked), "the loader's own mark")
    named = {bare(column.name): column for column in reversed(stream.columns)}
    named |= {column.name.lower(): column for column in reversed(stream.columns)}
    for name in (*DELETED, *LIVES):
        column = named.get(name)
        if column is None or column.name in key.columns or not column.texts:
            continue
        if not {text.lower() for text in column.texts} <= TRUE | FALSE:
            continue
        dead, usual = (TRUE, _SPELT_TRUE) if name in DELETED else (FALSE, _SPELT_FALSE)
        seen = sorted(text for text in column.texts if text.lower() in dead)
        count = sum(column.counts[text] for text in seen)
        texts = tuple(dict.fromkeys((*seen, *(usual if not seen else ()))))
        return Deletion(column.name, texts, f"{count:,} of {column.rows:,} rows say so")
    for column in stream.columns:
        gone = sorted(text for text in column.texts if text.lower() in GONE)
        if gone and bare(column.name).rpartition("_")[2] in ("status", "state") and len(column.texts) <= 20:
            count = sum(column.counts[text] for text in gone)
            return Deletion(column.name, tuple(gone), f"codes that mean deleted, in {count:,} rows")
    return None


def delivery_of(stream: Stream, entity: str, key: Key, change: Change | None, deletion: Deletion | None) -> Delivery:
    """From what the files show: whether one repeats the keys of the one before, and how far apart they are."""
    if stream.table:
        return _of_table(stream, entity, deletion)
    every = _rhythm(stream)
    kept = _kept(stream, key)
    if kept is not None and kept < 0.5:
        if entity == "interaction" or (kept == 0 and change is None):
            return Delivery(Mode.events, f"files share {kept:.0%} of their keys, and what happened stays", every)
        return Delivery(Mode.changes, f"files share {kept:.0%} of their keys: each has only what changed", every)
    if entity == "interaction" and kept is None:
        return Delivery(Mode.events, "what happened stays; `snapshot` if each file has everything", every)
    if deletion and change:
        return Delivery(Mode.changes, f"`{deletion.column}` says what is deleted, `{change.column}` when", every)
    if kept is not None:
        return Delivery(Mode.snapshot, f"files share {kept:.0%} of their keys: each has everything", every)
    return Delivery(Mode.snapshot, "each file has everything; `changes` if only what changed", every)


def _of_table(stream: Stream, entity: str, deletion: Deletion | None) -> Delivery:
    """By cursor where a loader says when it loaded a row and what is gone; else whole."""
    columns = {column.name for column in stream.columns}
    cursor = next((name for name in LOADED_AT if name in columns), "")
    if cursor and entity == "interaction":
        return Delivery(Mode.events, "what happened stays", cursor=cursor)
    if cursor and deletion:
        why = f"`{cursor}` says what is new, `{deletion.column}` what is deleted"
        return Delivery(Mode.changes, why, cursor=cursor)
    why = "all is read, and what is missing deleted; `changes` with a `cursor` reads less, and deletes nothing"
    return Delivery(Mode.snapshot, why)


def _kept(stream: Stream, key: Key) -> float | None:
    """Share of a dated file's keys that the next one repeats, the median of all pairs; None where nothing shows it."""
    dated = [p for p in stream.parts if p.at and p.rows and all(c in p.cells for c in key.columns)]
    dated.sort(key=lambda part: (part.at, part.file))
    keys = [set(zip(*(part.cells[c] for c in key.columns), strict=True)) for part in dated]
    pairs = pairwise(zip(keys, dated, strict=True))
    moved = [(a, b) for (a, x), (b, y) in pairs if x.at != y.at and not (x.cut or y.cut)]
    return median(len(a & b) / len(a) for a, b in moved) if moved else None


def _rhythm(stream: Stream) -> str:
    times = sorted({part.at for part in stream.parts if part.at})
    if len(times) < 2:
        return ""
    apart = median((b - a).total_seconds() / 3600 for a, b in pairwise(times))
    return _RHYTHMS.get(round(apart), "")


def spelt(kind: Kind) -> dict[str, object]:
    """The parts of a kind that a mapping says."""
    names = ("format", "decimal_mark", "true_texts", "false_texts")
    return {name: value for name in names if (value := getattr(kind, name))}
