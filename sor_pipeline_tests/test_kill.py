"""Killed at any moment and started again, a run ends as an undisturbed one; who reads meanwhile sees one publication.

By default some points of three days and those beside the commit of a publication and the renames of file and outbox;
`SOR_KILL_ALL=1` kills once for every state of the disk that a run passes through, twice in a row, at
random moments, and (where strace is installed) at every system call that changes a file.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.engine.duckdb_file import born
from sor_pipeline_tests.kill_world import (
    DAYS,
    Nursery,
    Point,
    Told,
    deliver,
    digest_of,
    pass_day,
    reading_all_the_while,
    rows_of,
    told,
)

ALL = bool(os.environ.get("SOR_KILL_ALL"))
SPREAD = 8
KILLED = 9
CORRECTIONS = "main.correction"
everything = pytest.mark.skipif(not ALL, reason="SOR_KILL_ALL is not set")


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
        """All that may ever be read: each publication, with its own corrections or, until these are made, the former."""
        tables = [after.published for after in self.after]
        former = [{**tables[0], CORRECTIONS: []}, *tables]
        lagging = [{**now, CORRECTIONS: before[CORRECTIONS]} for before, now in zip(former, tables, strict=False)]
        return {digest_of(rows) for rows in (*tables, *lagging)}

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
            fresh = Path(shutil.copyfile(origin / "conformed.duckdb", self.folder / "restored"))
            fresh.replace(self.home / "conformed.duckdb")
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
    return [
        here for before, here in zip([None, *points], points, strict=False) if not before or before.image != here.image
    ]


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
    changes = " ".join(days.after[-1].published["main.change"])
    assert [kind for kind in ("created", "changed", "retired", "identity", "deletion") if kind not in changes] == []
    assert days.after[-1].private["landing.refusal"]
    for points in days.points:
        labels = [point.label for point in around_publication(points)]
        assert labels[:2] == ["before do_commit ", "after do_commit "]
        assert "before replace conformed.duckdb conformed.duckdb" in labels
        assert sum(label.startswith("half-way write_bytes") for label in labels) == 2


def live_again(days: Days, chosen: Iterable[tuple[int, str, Callable[[Path], None]]]) -> None:
    """Each life: a day begun and ended badly, run again; a reader looks on. Fails with all that went wrong at last."""
    wrong, lives = [], 0
    with reading_all_the_while(days.home / "conformed.duckdb") as seen:
        for day, what, life in chosen:
            lives += 1
            try:
                life(days.restore(days.before(day)))
                differences = days.wrong(day)
            except Exception as error:
                differences = [f"{type(error).__name__}: {error}"]
            if differences:
                wrong.append((day, what, differences))
        readings = seen()
    print(f"{lives} lives, {len(wrong)} wrong; {sum(readings.values())} readings")
    assert wrong == []
    assert sum(readings.values()) > lives // 4
    assert readings.keys() <= days.publications() | {"missing"}


def killed_at(days: Days, day: int, *numbers: int) -> Callable[[Path], None]:
    """Killed at the first point, started again, killed at the second, …"""

    def life(home: Path) -> None:
        for number in numbers:
            end = days.nursery.order(home, days.extracts[day], day, at=number)
            assert end.signal == KILLED or number != numbers[0], end

    return life


def test_killed_and_started_again(days: Days) -> None:
    chosen = spread(days, 10_000 if ALL else SPREAD)
    for day in range(len(days.points)) if ALL else (1,):
        beside = [p for p in around_publication(days.points[day]) if "do_commit" in p.label or " replace " in p.label]
        chosen += [(day, point) for point in (around_publication(days.points[day]) if ALL else distinct(beside))]
    unique = sorted({(day, point.number): point for day, point in chosen}.items())
    live_again(days, ((day, str(point), killed_at(days, day, number)) for (day, number), point in unique))


@everything
def test_killed_twice(days: Days) -> None:
    dice = random.Random(2)
    twice = [(n % len(DAYS), dice.randint(1, 1400), dice.randint(1, 1400)) for n in range(30)]
    live_again(days, ((day, f"{first}, {second}", killed_at(days, day, first, second)) for day, first, second in twice))


@everything
def test_killed_at_any_time(days: Days) -> None:
    dice = random.Random(3)

    def life(day: int, after: float) -> Callable[[Path], None]:
        def timed(home: Path) -> None:
            days.nursery.order(home, days.extracts[day], day, after=after)

        return timed

    times = [(n % len(DAYS), dice.uniform(0.05, 4)) for n in range(45)]
    live_again(days, ((day, f"{after} s", life(day, after)) for day, after in times))


@everything
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    "call", ["pwrite64", "write", "rename", "unlink,unlinkat,rmdir,mkdir,link", "ftruncate,fsync,fdatasync"]
)
def test_killed_at_system_calls(days: Days, call: str) -> None:
    def life(day: int, number: int) -> Callable[[Path], None]:
        def traced(home: Path) -> None:
            end = days.nursery.order(home, days.extracts[day], day, call=call, number=number)
            survived.append(end.signal != KILLED)

        return traced

    survived: list[bool] = []

    def lives() -> Iterator[tuple[int, str, Callable[[Path], None]]]:
        for day in (0, 2):
            survived.clear()
            number = 1
            while not any(survived):
                yield day, f"{call} {number}", life(day, number)
                number += 1 + number // 6

    live_again(days, lives())


def test_a_kill_in_the_outbox_leaves_nothing_for_the_next_day(days: Days) -> None:
    half = next(p for p in around_publication(days.points[0]) if "half-way write_bytes" in p.label)
    home = days.restore(days.before(0))
    killed_at(days, 0, half.number)(home)
    assert list(home.rglob(".*"))
    assert days.after[1].differences(again(days, home, 1)) in ([], [
        "files: outbox/mail/1-mail.members.csv", "files: outbox/mail/1-mail.members.jsonl",
    ])  # fmt: skip


def again(days: Days, home: Path, day: int) -> Told:
    pass_day(home, days.extracts[day], day)
    return told(home)


@pytest.mark.parametrize("share", [0.999, 0.8, 0.6, 0.3, 0.1, 0.0] if ALL else [0.6])
def test_a_log_that_was_cut_off(days: Days, share: float) -> None:
    """A power cut may take the end of what was written; what is lost is done again, from landing."""
    published = next(p for p in around_publication(days.points[1]) if p.label == "after do_commit ")
    home = days.restore(days.before(1))
    killed_at(days, 1, published.number)(home)
    log = home / "warehouse.duckdb.wal"
    os.truncate(log, int(log.stat().st_size * share))
    assert days.wrong(1) == []


@pytest.mark.parametrize("day", [0, 1])
def test_a_full_disk(days: Days, day: int) -> None:
    """No file may grow beyond a size: the fault is clear, nothing is half published, and the next run ends it."""
    sizes = [(days.before(day + 1) / "conformed.duckdb").stat().st_size // 2]
    if ALL or not day:
        sizes = [0, 1_000, 30_000, *sizes] if ALL else [0]
    for largest in sizes:
        home = days.restore(days.before(day))
        end = days.nursery.order(home, days.extracts[day], day, largest=largest)
        assert end.signal == 0
        assert end.error.split()[-1] in ("SorError", "OSError"), end.text
        if day:
            assert digest_of(rows_of(home / "conformed.duckdb")) in days.publications()
        assert days.wrong(day) == [], largest


def test_a_warehouse_is_born_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that an earlier file of the name left behind is not its own; nor is a half-made file left."""
    path = tmp_path / "warehouse.duckdb"
    path.with_name(path.name + ".wal").write_bytes(b"of another life" * 99)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            born(path)
    assert not path.exists()
    with DuckDBEngine(path).begin() as connection:
        assert connection.execute(sa.select(1)).scalar_one() == 1
