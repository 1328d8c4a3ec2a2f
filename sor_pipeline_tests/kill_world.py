"""Three small days, and a nursery of processes that run one of them and kill themselves at a numbered point.

A point is a moment before or after anything that reaches the disk or the database: every SQL
statement, commit and close, every rename, removal, folder and fsync, every landed, copied or
written file, these also half-way. The points are put into the forked process by this module; the
product knows nothing of them.

    python -m sor_pipeline_tests.kill_world      reads one order per line (JSON), answers one line each
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
from duckdb_sqlalchemy import Dialect
from pyarrow import parquet

from sor_pipeline.errors import SorError
from sor_pipeline.flow import STEPS, Passage, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings

FIRST = datetime(2026, 3, 1)
QUICK = tuple(step for step in STEPS if step.name != "check")
DOCUMENT = Ownership.model_validate(
    {
        "systems": {"crm": {}, "mail": {}},
        "entities": {
            "account": {"owner": "crm", "fields": {"name": {"type": "name"}}},
            "contact": {
                "owner": "crm",
                "match": [{"linked": {"mail.members.crm_id": "crm.contacts"}}, {"same": ["email"]}],
                "fields": {
                    "email": {"type": "email"},
                    "name": {"type": "name", "fallback": ["mail"]},
                    "account": {"type": "ref", "to": "account"},
                    "opted_in": {"type": "boolean", "owner": "mail"},
                },
            },
        },
        "sources": {
            "crm.accounts": {
                "entity": "account", "key": "id", "fields": {"name": "name"},
                "extract": {"files": "accounts-*.csv", "mode": "snapshot", "max_shrink": 1},
            },
            "crm.contacts": {
                "entity": "contact", "key": "id", "fields": {n: n for n in ("email", "name", "account")},
                "extract": {"files": "contacts-*.csv", "mode": "snapshot", "max_shrink": 1, "limits": {"bad_rows": 0.5}},
            },
            "mail.members": {
                "entity": "contact", "key": "id", "changed_at": "at",
                "fields": {n: n for n in ("email", "name", "opted_in")},
                "extract": {"files": "members-*.csv", "mode": "changes", "deleted": {"gone": ["1"]}},
                "accepts": ["email", "name"],
            },
        },
    }
)  # fmt: skip
MEMBERS = "id,email,name,opted_in,crm_id,gone,at\n"
CONTACTS = "id,email,name,account\n"
DAYS: tuple[dict[str, str], ...] = (
    {
        "accounts-2026-03-01.csv": "id,name\np,Acme\nq,Beta\n",
        "contacts-2026-03-01.csv": CONTACTS + "1,ann@x.example,Ann,p\n2,bob@x.example,Bob,q\n3,cid@x.example,,zz\n",
        "members-2026-03-01.csv": MEMBERS
        + "x,anna@old.example,Anna,true,1,0,2026-03-01 08:00:00\n"
        + "y,BOB@x.example,Rob,false,,0,2026-03-01 08:00:00\n"
        + "z,dee@x.example,Dee,maybe,,0,2026-03-01 08:00:00\n",
    },
    {  # a merge, a split, deletions, an applied correction, a bad row, a bad cell and a bad file
        "accounts-2026-03-02.csv": "id,name\np,Acme Inc\n",
        "contacts-2026-03-02.csv": CONTACTS
        + "1,ann@x.example,Ann B,p\n2,bo@new.example,Bob,q\n4,dee@x.example,Di,p\nbroken\n",
        "contacts-2026-03-02-bad.csv": "id,id,email\n1,1,a@x.example\n",
        "members-2026-03-02.csv": MEMBERS
        + "x,ann@x.example,Anna,true,1,0,2026-03-02 08:00:00\n"
        + "y,BOB@x.example,Rob,false,,1,2026-03-02 08:00:00\n",
    },
    {  # a late file, a clearing, a reverted correction, a reference that leads elsewhere
        "accounts-2026-03-03.csv": "id,name\np,Acme Inc\nq,Beta\n",
        "contacts-2026-03-03.csv": CONTACTS + "1,,Ann B,p\n2,bo@new.example,Bob,q\n",
        "members-2026-03-01-late.csv": MEMBERS + "w,eve@x.example,Eve,true,2,0,2026-03-01 09:00:00\n",
        "members-2026-03-03.csv": MEMBERS + "x,anna@old.example,Anna,false,1,0,2026-03-03 08:00:00\n",
    },
)


def deliver(folder: Path) -> list[Path]:
    """A folder of extracts per day, each with all days before it; times of files are fixed."""
    folders = []
    for day in range(len(DAYS)):
        folders.append(folder / f"day{day}")
        folders[-1].mkdir(parents=True)
        for number, files in enumerate(DAYS[: day + 1]):
            for name, text in files.items():
                (folders[-1] / name).write_text(text)
                os.utime(folders[-1] / name, (1_750_000_000 + number, 1_750_000_000 + number))
    return folders


def pass_day(home: Path, extracts: Path, day: int) -> Passage:
    settings = Settings.read({}, ownership=extracts / "ownership.yaml", home=home, extracts=extracts)
    with opened(DOCUMENT, settings, FIRST + timedelta(days=day)) as hands:
        return pass_through(hands, QUICK)


@dataclass(frozen=True)
class Told:
    """All that must be the same after an undisturbed run: published rows, private rows, files byte for byte."""

    published: dict[str, list[str]]
    private: dict[str, list[str]]
    files: dict[str, str]

    def differences(self, other: Told) -> list[str]:
        return [
            f"{part}: {name}"
            for part in ("published", "private", "files")
            for name in sorted({*getattr(self, part), *getattr(other, part)})
            if getattr(self, part).get(name) != getattr(other, part).get(name)
        ]


def rows_of(file: Path) -> dict[str, list[str]]:
    """All tables of a DuckDB file, their rows sorted, as text."""
    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        return {
            f"{schema}.{name}": [
                str(row) for row in connection.execute(f'SELECT * FROM "{schema}"."{name}" ORDER BY ALL').fetchall()
            ]
            for schema, name in names
        }


def told(home: Path) -> Told:
    """Without `audit.run`, whose clock is the wall's and whose rows tell of kills. Binary databases count by their rows."""
    private = rows_of(home / "warehouse.duckdb")
    runs = private.pop("audit.run")
    assert not [row for row in runs if "'running'" in row], runs
    files = {
        path.relative_to(home).as_posix(): "rows" if path.suffix == ".duckdb" else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }  # fmt: skip
    return Told(rows_of(home / "conformed.duckdb"), private, files)


# --- points -------------------------------------------------------------------------------------


class Points:
    """Counts points; `reached` is told of each."""

    def __init__(self, reached: Callable[[int, str], None]) -> None:
        self._reached, self._count, self._quiet = reached, 0, False

    def __call__(self, label: str) -> None:
        if self._quiet:
            return
        self._quiet = True
        try:
            self._count += 1
            self._reached(self._count, label)
        finally:
            self._quiet = False

    def around(self, owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def pointed(*args: Any, **kwargs: Any) -> Any:
            label = f"{name} {_about(args)}"
            self(f"before {label}")
            answer = plain(*args, **kwargs)
            self(f"after {label}")
            return answer

        setattr(owner, name, pointed)

    def half_way(self, owner: Any, name: str, half: Callable[..., None]) -> None:
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def pointed(*args: Any, **kwargs: Any) -> Any:
            label = f"{name} {_about(args)}"
            self(f"before {label}")
            half(*args)
            self(f"half-way {label}")
            answer = plain(*args, **kwargs)
            self(f"after {label}")
            return answer

        setattr(owner, name, pointed)


def _about(args: tuple[Any, ...]) -> str:
    return " ".join(Path(arg).name for arg in args if isinstance(arg, str | Path))


def _half_written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])


def _half_copied(origin: Path, target: Path) -> None:
    _half_written(target, origin.read_bytes())


def install(points: Points) -> None:
    """Put the points into this process, for good."""

    def sql(when: str) -> Callable[..., None]:
        return lambda _c, _u, statement, *_: points(f"{when} sql {' '.join(statement.split())[:60]}")

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", sql("before"))
    sa.event.listen(sa.engine.Engine, "after_cursor_execute", sql("after"))
    for name in ("do_commit", "do_rollback", "do_close"):
        points.around(Dialect, name)
    for name in ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "fsync"):
        points.around(os, name)
    for name in ("__init__", "write_table", "close"):
        points.around(parquet.ParquetWriter, name)
    points.around(duckdb, "connect")
    points.half_way(Path, "write_bytes", _half_written)
    points.half_way(shutil, "copyfile", _half_copied)


class Image:
    """A digest of a folder's files: what a process killed now would leave behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[int, int, int], str] = {}

    def digest(self) -> str:
        parts = [f"{path.relative_to(self._folder)} {self._of(path)}" for path in sorted(self._folder.rglob("*"))]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()

    def _of(self, path: Path) -> str:
        if path.is_dir():
            return "folder"
        stat = path.stat()
        mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if mark in self._known:
            return self._known[mark]
        digest = hashlib.blake2b(path.read_bytes()).hexdigest()
        if time.time_ns() - stat.st_mtime_ns > 50_000_000:  # clocks of file systems are coarse
            self._known[mark] = digest
        return digest


# --- the nursery --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    number: int
    label: str
    image: str


@dataclass(frozen=True)
class End:
    """How a process ended: `signal` that killed it, or the error that it died of (class, text)."""

    signal: int
    error: str
    text: str


class Nursery:
    """Processes that have everything imported and nothing opened."""

    def __init__(self, folder: Path) -> None:
        self._report = folder / "report.json"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sor_pipeline_tests.kill_world"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def order(self, home: Path, extracts: Path, day: int, **how: Any) -> End:
        """Run a day. `at`: be killed at that point; `after`: be killed after so many seconds; `call`, `number`: be
        killed at the n-th such system call; `survey`: tell all points; `largest`: no file may grow beyond so many
        bytes."""
        assert self._process.stdin
        assert self._process.stdout
        self._report.unlink(missing_ok=True)
        order = {"home": str(home), "extracts": str(extracts), "day": day, "report": str(self._report), **how}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        ended = int(self._process.stdout.readline())
        report = json.loads(self._report.read_text()) if self._report.exists() else {}
        return End(ended, report.get("error", ""), report.get("text", ""))

    def survey(self, home: Path, extracts: Path, day: int) -> list[Point]:
        """Run a day undisturbed; all its points, and what was on the disk at each."""
        end = self.order(home, extracts, day, survey=True)
        assert end == End(0, "", ""), end.text
        return [Point(*point) for point in json.loads(self._report.read_text())["points"]]


def _live(order: dict[str, Any]) -> None:
    home, seen = Path(order["home"]), []
    image = Image(home)

    def strike(number: int, _label: str) -> None:
        if number == order["at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(number: int, label: str) -> None:
        seen.append((number, label, image.digest()))

    if order.get("at") or order.get("survey"):
        install(Points(note if order.get("survey") else strike))
    if order.get("largest") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], resource.RLIM_INFINITY))
    report: dict[str, Any] = {}
    if order.get("call"):
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        pass_day(home, Path(order["extracts"]), order["day"])
    except BaseException as error:
        names = [kind.__name__ for kind in type(error).__mro__ if kind in (SorError, OSError) or kind is type(error)]
        report = {"error": " ".join(names), "text": traceback.format_exc()}
    if order.get("largest") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    Path(order["report"]).write_text(json.dumps({**report, "points": seen}))


def _trace(child: int, call: str, number: int) -> None:
    """Let the stopped child go on until it makes that system call for the n-th time, and kill it there."""
    os.waitpid(child, os.WUNTRACED)
    inject = f"inject={call}:signal=KILL:when={number}"
    traced = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject, "-p", str(child)]
    subprocess.Popen(traced, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        time.sleep(0.005)
    time.sleep(0.02)
    os.kill(child, signal.SIGCONT)


def _nurse() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            sys.stdout = sys.stderr
            with contextlib.suppress(BaseException):
                _live(order)
            os._exit(0)
        if order.get("call"):
            _trace(child, order["call"], order["number"])
        if order.get("after"):
            time.sleep(order["after"])
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)


# --- the reader ---------------------------------------------------------------------------------


@contextlib.contextmanager
def reading_all_the_while(file: Path) -> Iterator[Callable[[], dict[str, int]]]:
    """Another process that opens `file` again and again and reads all of it.

    Yields a function that stops it and tells how often it saw what: `missing`, or the digest of all rows.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "sor_pipeline_tests.kill_world", str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert process.stdout
    process.stdout.readline()
    try:
        yield lambda: json.loads(process.communicate("stop")[0])
    finally:
        process.kill()
        process.wait()


def digest_of(rows: dict[str, list[str]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _read(file: Path) -> None:
    import select

    print("ready", flush=True)
    seen: dict[str, int] = {}
    while not select.select([sys.stdin], [], [], 0.25)[0]:
        try:
            saw = digest_of(rows_of(file))
        except Exception as error:
            absent = "database does not exist" in str(error)
            saw = "missing" if absent else f"{type(error).__name__}: {error}"
        seen[saw] = seen.get(saw, 0) + 1
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    _read(Path(sys.argv[1])) if len(sys.argv) > 1 else _nurse()
