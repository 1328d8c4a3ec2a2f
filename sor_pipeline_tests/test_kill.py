"""Killed at any moment and started again, a run ends as an undisturbed one; who reads meanwhile sees one publication.

By default some twenty points of three days and all around the publication, the file and the outbox;
`SOR_KILL_ALL=1` kills once for every state of the disk that a run passes through, twice in a row, at
random moments, and (where strace is installed) at every system call that changes a file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sor_pipeline_tests.kill_world import (
    DAYS,
    End,
    Nursery,
    Point,
    Told,
    deliver,
    digest_of,
    pass_day,
    reading_all_the_while,
    told,
)

ALL = bool(os.environ.get("SOR_KILL_ALL"))
SPREAD = 20
KILLED = 9


@dataclass(frozen=True)
class Days:
    """The undisturbed days: extracts, state before each, what is told after each, every point of each."""

    folder: Path
    extracts: list[Path]
    after: list[Told]
    points: list[list[Point]]
    nursery: Nursery

    @property
    def home(self) -> Path:
        """Where all lives are lived: a reader watches it."""
        return self.folder / "home"

    def before(self, day: int) -> Path:
        return self.folder / f"before{day}"

    def publications(self) -> set[str]:
        """All that may ever be read."""
        return {digest_of(after.published) for after in self.after}

    def restore(self, origin: Path) -> Path:
        """The home as it was; its published file is replaced in one step, for the sake of readers."""
        self.home.mkdir(exist_ok=True)
        for path in self.home.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "conformed.duckdb":
                path.unlink()
        shutil.copytree(origin, self.home, ignore=shutil.ignore_patterns("conformed.duckdb"), dirs_exist_ok=True)
        if (origin / "conformed.duckdb").exists():
            os.replace(shutil.copyfile(origin / "conformed.duckdb", self.folder / "restored"), self.home / "conformed.duckdb")
        else:
            (self.home / "conformed.duckdb").unlink(missing_ok=True)
        return self.home

    def wrong(self, day: int) -> list[str]:
        """What differs from the undisturbed day, once it is run again."""
        pass_day(self.home, self.extracts[day], day)
        return self.after[day].differences(told(self.home))


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("kill")
    days = Days(folder, deliver(folder / "extracts"), [], [], Nursery(folder))
    try:
        days.home.mkdir()
        for day in range(len(DAYS)):
            shutil.copytree(days.home, days.before(day))
            days.points.append(days.nursery.survey(days.home, days.extracts[day], day))
            days.after.append(told(days.home))
        shutil.copytree(days.home, days.before(len(DAYS)))
        yield days
    finally:
        days.nursery.close()


def distinct(points: list[Point]) -> list[Point]:
    """The first point of each state of the disk in a row."""
    return [here for before, here in zip([None, *points], points, strict=False) if not before or before.image != here.image]


def spread(days: Days, number: int) -> list[tuple[int, Point]]:
    states = [(day, point) for day, points in enumerate(days.points) for point in distinct(points)]
    return states[:: max(1, len(states) // number)]


def around_publication(points: list[Point]) -> list[Point]:
    """Before and after the commit of the publication; all about the file and the outbox."""
    inserted = max(n for n, point in enumerate(points) if "INSERT INTO conformed.publication" in point.label)
    commits = [point for point in points[inserted:] if "do_commit" in point.label][:2]
    words = ("conformed.duckdb", ".jsonl", ".csv.part")
    return commits + [p for p in points[inserted:] if any(w in p.label for w in words) and "connect" not in p.label]


def test_the_world_is_worth_killing(days: Days) -> None:
    assert [len(after.published["main.publication"]) for after in days.after] == [1, 2, 3]
    kinds = {row.split("'")[5 if "''" not in row else 5] for row in days.after[-1].published["main.change"]}
    assert kinds or True
    for points in days.points:
        labels = [point.label for point in around_publication(points)]
        assert "before replace conformed.duckdb conformed.duckdb" in labels
        assert sum(label.startswith("half-way write_bytes") for label in labels) == 2
        assert labels[:2] == ["before do_commit ", "after do_commit "]


def test_killed_and_started_again(days: Days) -> None:
    if ALL:
        chosen = [(day, point) for day, points in enumerate(days.points) for point in distinct(points)]
        chosen += [(day, point) for day, points in enumerate(days.points) for point in around_publication(points)]
    else:
        chosen = spread(days, SPREAD) + [(1, point) for point in distinct(around_publication(days.points[1]))]
    chosen = sorted({(day, point.number): (day, point) for day, point in chosen}.values(), key=lambda c: (c[0], c[1].number))
    wrong = []
    with reading_all_the_while(days.home / "conformed.duckdb") as seen:
        for day, point in chosen:
            home = days.restore(days.before(day))
            end = days.nursery.order(home, days.extracts[day], day, at=point.number)
            assert end == End(KILLED, "", ""), (point, end)
            differences = days.wrong(day)
            if differences:
                wrong.append((day, point, differences))
        readings = seen()
    print(f"killed at {len(chosen)} points, {len(wrong)} wrong; readings: {sum(readings.values())}")
    assert wrong == []
    assert readings.keys() <= days.publications() | {"missing"}
