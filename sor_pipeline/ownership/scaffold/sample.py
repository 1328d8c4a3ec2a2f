"""What was seen of the extracts: a few rows of each stream, all text.

Belongs here: the sample and plain facts about its columns. Does not: guesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from sor_pipeline.ownership.base import Noun
from sor_pipeline.ownership.entity import TypeName

Cells = tuple[str, ...]

_NOTHING = frozenset({"", "-", "--", "n/a", "na", "null", "none", "nan", "unknown", "tbd", "undefined", "?"})


class Kind(Noun):
    """A field's type and how its texts are written, as the document would say it."""

    type: TypeName = "text"
    of: tuple[str, ...] | str | None = None
    region: str | None = None
    scale: int | None = None
    format: str | None = None
    decimal_mark: str | None = None
    true_texts: tuple[str, ...] = ()
    false_texts: tuple[str, ...] = ()


Reads = Callable[[Kind, Sequence[str]], int]
"""How many of the texts can be read as that kind."""


@dataclass(frozen=True)
class Part:
    """The first rows of one file: per column its cells, stripped, '' where blank. `cut`: the file has more rows."""

    file: str
    cells: dict[str, Cells]
    rows: int
    cut: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class Column:
    """One column over all parts that have it; `name` is the header, or a dotted path into a column of JSON."""

    name: str
    parts: tuple[Cells, ...]

    @cached_property
    def counts(self) -> Counter[str]:
        """Distinct texts that are not blank, in the order of their appearance."""
        return Counter(text for cells in self.parts for text in cells if text)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Distinct texts that say something: neither blank nor a usual placeholder."""
        return tuple(text for text in self.counts if text.lower() not in _NOTHING)

    @cached_property
    def rows(self) -> int:
        return sum(map(len, self.parts))

    @cached_property
    def filled(self) -> int:
        return self.counts.total()

    @cached_property
    def distinct(self) -> int:
        """Distinct texts within each part, summed: as many as `rows` where each file is filled and unique."""
        return sum(len(set(cells) - {""}) for cells in self.parts)

    @property
    def unique(self) -> bool:
        return 0 < self.rows == self.distinct

    @property
    def blank(self) -> bool:
        return not self.counts


@dataclass(frozen=True)
class Stream:
    """One stream of extracts: its name, its files and what was seen in them.

    `settings` are keys of the document's `extract` that the files need (delimiter, encoding, records, …);
    `unread` the files that match the glob and could not be read, with the reason. A stream that is a table of a
    database has `table` and `url` in place of a glob.
    """

    system: str
    stream: str
    glob: str
    settings: dict[str, str | int]
    parts: tuple[Part, ...]
    unread: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = field(default=())
    table: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        return f"{self.system}.{self.stream}"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the order of the newest header, then those that only older files have."""
        names = dict.fromkeys(name for part in reversed(self.parts) for name in part.cells)
        return tuple(Column(name, tuple(p.cells[name] for p in self.parts if name in p.cells)) for name in names)

    @cached_property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)
