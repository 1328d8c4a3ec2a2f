"""The paper that everything is printed on: tables that fit the terminal, or JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import Fault
from sor_pipeline.run import Run

Row = Mapping[str, Any]
NARROW = 24
"""A column whose texts are all this short is not broken: ids, keys and times stay whole ..."""
GAP, FEWEST = 3, 14
"""... as long as every longer one has that much room."""


class Paper:
    """Prints for people, or with `machine` one JSON document per call for programs; messages go to stderr."""

    def __init__(self, *, machine: bool = False) -> None:
        self.machine = machine
        self.console = Console(highlight=False, emoji=False)
        self.aside = Console(stderr=True, highlight=False, emoji=False)

    def say(self, text: str) -> None:
        """A line for people; Rich markup. Never broken by us, so that a command in it can be copied."""
        if not self.machine:
            self.console.print(text, soft_wrap=True)

    def prose(self, text: str, first: str = "", further: str = "") -> None:
        """Plain sentences, broken between words where the terminal ends; each line behind `first` or `further`."""
        width = max(self.console.width, 40)
        for line in textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
        ):
            self.say(escape(line))

    def notice(self, text: str) -> None:
        """A line on stderr at once, for people and programs alike."""
        self.aside.print(f"[yellow]{escape(text)}[/yellow]", soft_wrap=True)

    def data(self, value: object) -> None:
        """A document for programs."""
        if self.machine:
            print(json.dumps(value, default=plain, ensure_ascii=False, indent=2))  # noqa: T201

    def table(self, title: str, rows: Sequence[Row], columns: Sequence[str] = (), note: str = "") -> None:
        """Rows under their column names; numbers to the right."""
        if self.machine:
            return
        names = list(columns) or (list(rows[0]) if rows else [])
        paper = Table(
            title=title,
            title_justify="left",
            title_style="bold not italic",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        widths = {name: max((len(shown(row[name])) for row in rows), default=0) for name in names}
        whole = [name for name in names if widths[name] <= NARROW]
        room = self.console.width - sum(max(widths[name], len(name)) for name in whole) - GAP * len(names)
        whole = whole if room >= FEWEST * (len(names) - len(whole)) else []
        for name in names:
            numeric = bool(rows) and all(isinstance(row[name], int | float | Decimal) for row in rows)
            justify: Literal["left", "right"] = "right" if numeric else "left"
            paper.add_column(name.replace("_", " "), justify=justify, overflow="fold", no_wrap=name in whole)
        for row in rows:
            paper.add_row(*(shown(row[name]) for name in names))
        self.console.print(paper)
        if note:
            self.console.print(f"[dim]{escape(note)}[/dim]\n", soft_wrap=True)

    def faults(self, faults: Sequence[Fault]) -> None:
        """Every fault, whole, on stderr."""
        for fault in faults:
            style = "yellow" if fault.warning else "red"
            self.aside.print(f"[{style}]{escape(str(fault))}[/{style}]", soft_wrap=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """A line that says what is being done now; silent where nobody watches."""
        if self.machine or not self.aside.is_terminal:
            yield lambda _: None
            return
        with self.aside.status("starting") as status:
            yield lambda text: status.update(escape(text))


def read(run: Run, select: Rows, limit: int | None = None) -> list[Row]:
    """A select's rows as mappings; bounded, because people and programs read them one by one."""
    with run.engine.begin() as connection:
        bounded = select if limit is None else select.limit(limit)
        return [dict(row) for row in connection.execute(bounded).mappings().fetchall()]


def number(run: Run, select: sa.Select[Any]) -> int:
    with run.engine.begin() as connection:
        return int(connection.execute(select).scalar_one())


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "[dim]-[/dim]"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d" if value.time() == time.min else "%Y-%m-%d %H:%M")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(str(value))


def near(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def plain(value: object) -> object:
    """A value as JSON holds it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
