"""Whatever goes wrong between a run and its server: the fault is clear and holds no value, people read a whole
publication, and the next run ends as an undisturbed one.

By default a quarter of a day's distinct statements lose their connection once, and the step is run again; some points,
and those beside the commit of the publication, also have the whole run started again on a fresh engine.
`SOR_KILL_ALL=1` does the one for every distinct statement, and the other for every point of three days: every
statement, COPY and COMMIT, the run started again from each state that can be left behind.

Real: connections ended by `pg_terminate_backend`, answers to COMMIT lost on the way, restarts and crashes of the
server, killed processes, deadlocks, timeouts of statements and locks, the limit on temporary files. Made up, by a
trigger with the SQLSTATE: a full disk, serialization failures, lack of memory, damaged files.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sor_pipeline import opening
from sor_pipeline.cli import main
from sor_pipeline.engine.open import open_engine
from sor_pipeline.engine.postgres import PostgresEngine
from sor_pipeline.errors import EngineError
from sor_pipeline.flow import STEPS, one_step
from sor_pipeline.observe.runs import finish, start
from sor_pipeline_tests.kill_world import DAYS, QUICK
from sor_pipeline_tests.postgres_server import NoServer, OwnServer, PostgresServer, found, without
from sor_pipeline_tests.server_failures_world import (
    CORRECTIONS,
    DOCUMENT,
    Hand,
    Point,
    Points,
    Strike,
    at,
    cells,
    deliver,
    differences,
    everything_said,
    failed,
    files_of,
    hands,
    held_by,
    installed,
    pass_day,
    published_by,
    restore,
    told_values,
)

ALL = bool(os.environ.get("SOR_KILL_ALL"))
everything = pytest.mark.skipif(not ALL, reason="SOR_KILL_ALL is not set")
DAY = 1
"""The day that the default form disturbs: a merge, a split, deletions, bad rows."""
CODES = {"warehouse-unavailable", "warehouse-failed"}


@dataclass
class World:
    """The undisturbed days: the state before each, what is there after each, every point of each."""

    server: PostgresServer
    folder: Path
    extracts: list[Path]
    points: Points
    before: list[str] = field(default_factory=list)
    held: list[dict[str, list[str]]] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    published: list[dict[str, list[str]]] = field(default_factory=list)
    seen: list[list[Point]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Where all lives are lived."""
        return self.folder / "home"

    def readable(self, day: int) -> list[dict[str, list[str]]]:
        """What people may read during that day: the publication before, the new one, this also with former corrections."""
        after = self.published[day]
        if not day:
            return [after, {name: [] for name in after}, {**after, CORRECTIONS: []}, {}]
        former = self.published[day - 1]
        return [former, after, {**after, CORRECTIONS: former[CORRECTIONS]}]

    @contextmanager
    def life(self, day: int = DAY) -> Iterator[Life]:
        """The state before a day, to be disturbed."""
        with self.server.database(template=self.before[day]) as url:
            restore(self.home, self.folder / f"before{day}")
            hand = Hand(self.server, url)
            try:
                yield Life(self, day, url, hand)
            finally:
                hand.close()


@dataclass
class Life:
    world: World
    day: int
    url: str
    hand: Hand

    def run(self, steps: tuple[Any, ...] = QUICK) -> str:
        return pass_day(self.url, self.world.home, self.world.extracts[self.day], self.day, steps)

    def struck(self, strike: Strike, steps: tuple[Any, ...] = QUICK) -> EngineError | None:
        """A run that is struck, and its fault."""
        with self.world.points.struck(strike):
            return failed(lambda: self.run(steps))

    def half_published(self) -> bool:
        return published_by(self.hand) not in self.world.readable(self.day)

    def wrong(self) -> list[str]:
        """What differs from the undisturbed day, once it is run again."""
        self.run()
        files = differences(files_of(self.world.home), self.world.files[self.day])
        return differences(held_by(self.hand), self.world.held[self.day]) + files


@pytest.fixture(scope="module")
def world(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("failures")
    with ExitStack() as stack:
        world = World(postgres, folder, deliver(folder / "extracts"), stack.enter_context(installed()))
        world.home.mkdir()
        url = stack.enter_context(postgres.database())
        for day in range(len(DAYS) if ALL else DAY + 1):
            world.before.append(stack.enter_context(postgres.database(template=url)))
            restore(folder / f"before{day}", world.home)
            world.seen.append([])
            with world.points.struck(world.seen[-1].append):
                pass_day(url, world.home, world.extracts[day], day)
            hand = Hand(postgres, url)
            world.held.append(held_by(hand))
            world.published.append(published_by(hand))
            hand.close()
            world.files.append(files_of(world.home))
        yield world


def complaints(error: EngineError | None, codes: set[str] = CODES) -> list[str]:
    """What is wrong about a fault."""
    if error is None:
        return ["no fault"]
    (fault,) = error.faults
    found = [f"it tells {value}" for value in told_values(error)]
    found += [] if fault.code in codes else [f"code {fault.code}"]
    found += [] if fault.todo and fault.what and fault.expected else ["it does not say what to do"]
    return found + (["its traceback would be shown"] if "Traceback" in str(error) else [])


# --- connections -----------------------------------------------------------------------------------


def test_the_world_is_worth_failing(world: World) -> None:
    kinds = {point.kind for point in world.seen[DAY]}
    assert kinds == {"sql", "copy", "block", "describe", "commit", "committed"}
    assert len({point.name for point in world.seen[DAY]}) > 200
    assert len(cells()) >= 20
    assert {"ann@x.example", "Bob", "Acme Inc"} <= set(cells())
    assert world.held[DAY]["conformed.contact"] != world.held[DAY - 1]["conformed.contact"]


def test_every_statement_loses_its_connection_and_the_step_is_run_again(world: World) -> None:
    """As a retry does it: what was done before the step stays done, and the lock stays with the run while it can."""
    known = {point.name for number, point in enumerate(world.seen[DAY]) if number % 4 and not ALL}
    wrong: list[tuple[str, list[str]]] = []
    dropped: list[Point] = []

    with world.life() as life, ExitStack() as stack:

        def strike(point: Point) -> None:
            if point.name not in known and point.pid not in life.hand.lock_holders():
                known.add(point.name)
                dropped.append(point)
                life.hand.drop(point)

        def until_it_works(work: Callable[[], Any]) -> Any:
            while True:
                so_far, done = len(dropped), []
                with world.points.struck(strike):
                    error = failed(lambda done=done: done.append(work()))
                if error is None:
                    return done[0]
                assert len(dropped) > so_far, everything_said(error)
                found = complaints(error) + (["half published"] if life.half_published() else [])
                wrong.extend([(str(dropped[-1]), found)] if found else [])

        run = stack.enter_context(hands(life.url, world.home, world.extracts[DAY], DAY))
        number = until_it_works(lambda: start(run))
        for step in QUICK:
            for scope in step.scopes(DOCUMENT):
                until_it_works(lambda step=step, scope=scope: one_step(run, step, scope))
        until_it_works(lambda: finish(run, number, "published", {}, ""))
        stack.close()
        assert differences(held_by(life.hand), world.held[DAY]) == []
        assert files_of(world.home) == world.files[DAY]
        print(f"{len(dropped)} connections lost, {len(wrong)} wrong")
    assert wrong == []
    assert len(dropped) > (300 if ALL else 60)


def chosen(points: list[Point], number: int) -> list[Point]:
    """Some, one of each kind, all of the session with the lock, and those about the commit of the publication."""
    inserted = next(p.number for p in points if "INSERT INTO conformed.publication" in p.text)
    commits = [p for p in points if p.number > inserted and p.kind in ("commit", "committed")][:2]
    kinds = {p.kind: p for p in points}
    lock = [p for p in points if p.pid == points[0].pid]
    return [*points[:: max(1, len(points) // number)], *kinds.values(), *lock, *commits]


def lost_at(world: World, day: int, points: list[Point]) -> list[tuple[int, str, list[str]]]:
    """A run that loses its connection at each, and is started again from each state that is left behind."""
    wrong: list[tuple[int, str, list[str]]] = []
    left: set[Any] = set()
    for number, point in enumerate(sorted(set(points), key=lambda p: p.number)):
        try:
            found = lost_once(world, day, point, left)
        except Exception as error:
            found = [everything_said(error)]
        wrong += [(day, str(point), found)] if found else []
        if number % 50 == 49:
            print(f"  {number + 1} points, {len(left)} states started again from, {len(wrong)} wrong")
    print(f"day {day}: {len(set(points))} points, {len(left)} states started again from, {len(wrong)} wrong")
    return wrong


def lost_once(world: World, day: int, point: Point, left: set[Any]) -> list[str]:
    """What is wrong about one life; it is started again where that state is not among those `left` before."""
    with world.life(day) as life:
        error = life.struck(at(point.number, life.hand.drop))
        assert [one.name for one in life.hand.struck] == [point.name]
        ended = error is None and life_ends(point, world.seen[day])
        found = [] if ended else complaints(error)
        found += ["half published"] if life.half_published() else []
        committed = sum(p.number <= point.number and p.kind == "committed" for p in world.seen[day])
        state = (committed, tuple(files_of(world.home).items()))
        if state not in left:
            left.add(state)
            found += life.wrong()
    return found


def life_ends(point: Point, points: list[Point]) -> bool:
    """Whether nothing but letting go of the lock is lost; or a statement that only tidied up."""
    return point.number > max(p.number for p in points if p.kind == "committed") or "pg_advisory_unlock" in point.text


def test_a_connection_is_lost_and_the_run_started_again(world: World) -> None:
    for day in (1, 0, 2) if ALL else (DAY,):
        points = world.seen[day]
        assert lost_at(world, day, points if ALL else chosen(points, 2)) == []


@contextmanager
def lent(points: Points) -> Iterator[list[Any]]:
    """The sessions that a library was lent."""
    sessions: list[Any] = []
    plainly = PostgresEngine._looking_only

    def looking_only(engine: PostgresEngine, driver: Any, record: object) -> None:
        sessions.append(driver)
        plainly(engine, driver, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresEngine, "_looking_only", looking_only)
        yield sessions


def test_while_great_expectations_asks(world: World) -> None:
    """A lost connection is no finding and blocks no publication; what GX asks is asked again by the next run."""
    with world.life() as life, lent(world.points) as sessions:

        def strike(point: Point) -> None:
            if point.driver in sessions and not life.hand.struck:
                life.hand.drop(point)

        error = life.struck(strike, STEPS)
        assert life.hand.struck
        assert complaints(error) == []
        assert not life.half_published()
        assert life.run(STEPS) == "published"
        assert published_by(life.hand)["conformed.contact"] == world.published[DAY]["conformed.contact"]


# --- the server ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(world: World) -> Iterator[OwnServer]:
    """A server that may be restarted, with a warehouse as before the day."""
    binaries = found(os.environ)
    if not binaries:
        without(NoServer("no binaries that could be started again"), os.environ)
    server = OwnServer(binaries[0])
    yield server
    server.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_the_server_is_restarted(world: World, own: OwnServer, how: signal.Signals) -> None:
    """Amid the first transaction that writes, or amid the publication, after its last statement before the commit."""
    inserted = next(p.number for p in world.seen[0] if "INSERT INTO conformed.publication" in p.text)
    committing = next(p.number for p in world.seen[0] if p.number > inserted and p.kind == "commit")
    with own.database() as url:
        restore(world.home, world.folder / "before0")
        for number in (100, 500, committing) if ALL else (committing,):
            with world.points.struck(at(number, lambda _: own.restart(how))):
                error = failed(lambda: pass_day(url, world.home, world.extracts[0], 0))
            assert complaints(error) == []
        hand = Hand(own, url)
        assert not any(published_by(hand).values())
        pass_day(url, world.home, world.extracts[0], 0)
        assert differences(held_by(hand), world.held[0]) == []
        hand.close()


def test_the_server_stays_away(world: World, own: OwnServer) -> None:
    with own.database() as url:
        restore(world.home, world.folder / "before0")
        try:
            for number in (20, 100, 500):
                with world.points.struck(at(number, lambda _: own.halt())):
                    error = failed(lambda: pass_day(url, world.home, world.extracts[0], 0))
                assert complaints(error, {"warehouse-unavailable"}) == []
                own.start()
        finally:
            own.restart()


# --- what a server refuses -------------------------------------------------------------------------

REFUSALS = {
    "53100": "could not extend file: No space left on device",
    "40001": "could not serialize access due to concurrent update",
    "XX001": "invalid page in block 7",
    "53200": "out of memory",
    "58030": "could not read block 7 in file",
    "23514": "new row violates check constraint",
}
"""By SQLSTATE what a trigger says in the server's name; of the rows it puts everything into DETAIL and HINT."""
TABLES = ("conformed.contact", "canonical.contact", "identity.contact", "staged.crm__contacts", "landing.batch")


def refusing(hand: Hand, table: str, state: str) -> Callable[[], None]:
    """Let the server refuse rows of the table; returns what lets it accept them again."""
    hand.tell(
        "CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING"
        f" ERRCODE = '{state}', MESSAGE = '{REFUSALS[state]}', DETAIL = 'Failing row contains ' || NEW::text,"
        " HINT = NEW::text; END $$"
    )
    hand.tell(f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION public.refuse()")
    return lambda: hand.tell("DROP FUNCTION public.refuse CASCADE") and None


@pytest.mark.parametrize(
    ("table", "state"),
    [(table, state) for table in TABLES for state in REFUSALS]
    if ALL
    else list(zip(TABLES[:3], REFUSALS, strict=False)),
)
def test_the_server_refuses_a_row(world: World, table: str, state: str) -> None:
    with world.life() as life:
        accept = refusing(life.hand, table, state)
        error = failed(life.run)
        assert complaints(error, {"warehouse-failed"}) == []
        assert f"SQLSTATE {state}" in str(error)
        assert not life.half_published()
        accept()
        assert life.wrong() == []


def test_the_command_line_tells_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4 and the fault, by a full disk amid publishing and by a server that cannot be reached."""
    with world.life() as life:
        refusing(life.hand, "conformed.contact", "53100")
        for url, told in (
            (life.url, "SQLSTATE 53100"),
            ("postgresql+psycopg://somebody@/there?host=/nowhere", "answer"),
        ):
            monkeypatch.setenv("SOR_WAREHOUSE_URL", url)
            extracts = world.extracts[DAY]
            with pytest.raises(SystemExit) as ended:
                main(["--ownership", str(extracts / "ownership.yaml"), "--home", str(world.home),
                      "--extracts", str(extracts), "run"])  # fmt: skip
            said = "".join(capsys.readouterr())
            assert ended.value.code == 4
            assert told in said
            assert "Traceback" not in said
            assert [value for value in cells() if value in said] == []


@contextmanager
def elsewhere(work: Callable[[], object]) -> Iterator[None]:
    """Something that goes on beside the block."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize(("limit", "state"), [("statement_timeout", "57014"), ("lock_timeout", "55P03")])
def test_it_takes_too_long(world: World, limit: str, state: str) -> None:
    """Somebody holds a table, and the run may not wait for ever."""
    with world.life() as life:
        database = sa.make_url(life.url).database
        locked = "staged.mail__members" if limit == "lock_timeout" else "conformed.contact"
        life.hand.tell(f"ALTER DATABASE {database} SET {limit} = '2s'")
        with life.hand.driver.transaction():
            life.hand.tell(f"LOCK TABLE {locked} IN SHARE MODE")
            error = failed(life.run)
        assert complaints(error, {"warehouse-failed"}) == []
        assert f"SQLSTATE {state}" in str(error)
        assert not life.half_published()
        life.hand.tell(f"ALTER DATABASE {database} RESET {limit}")
        assert life.wrong() == []


def test_a_deadlock(world: World) -> None:
    """Somebody holds what the publication wants, and wants what it holds; the server ends ours."""
    with world.life() as life:
        database = sa.make_url(life.url).database
        life.hand.tell(f"ALTER DATABASE {database} SET deadlock_timeout = '100ms'")
        life.hand.tell("SET deadlock_timeout = '1min'")
        other = Hand(world.server, life.url)
        wanting = threading.Thread(target=life.hand.tell, args=("LOCK TABLE conformed.contact IN EXCLUSIVE MODE",))
        inserted = next(p.text for p in world.seen[DAY] if "INSERT INTO conformed.publication" in p.text)

        def strike(point: Point) -> None:
            if point.text != inserted or life.hand.struck:
                return
            life.hand.struck.append(point)
            life.hand.tell("BEGIN")
            life.hand.tell("LOCK TABLE conformed.publication IN SHARE MODE")
            wanting.start()
            while not other.tell("SELECT 1 FROM pg_locks WHERE NOT granted"):
                time.sleep(0.01)

        error = life.struck(strike)
        wanting.join()
        life.hand.tell("ROLLBACK")
        other.close()
        assert "SQLSTATE 40P01" in str(error)
        assert complaints(error, {"warehouse-failed"}) == []
        assert not life.half_published()
        assert life.wrong() == []


def test_the_limit_on_temporary_files(postgres: PostgresServer, postgres_url: str) -> None:
    """As far as a disk can be filled up without filling one."""
    hand = Hand(postgres, postgres_url)
    hand.tell(f"ALTER DATABASE {sa.make_url(postgres_url).database} SET temp_file_limit = '1MB'")
    hand.close()
    engine = open_engine(postgres_url)
    numbers = sa.func.generate_series(1, 3_000_000).column_valued("n")
    sorted_out = sa.select(sa.func.count()).select_from(
        sa.select(numbers).order_by(sa.func.md5(sa.cast(numbers, sa.Text))).limit(2_900_000).subquery()
    )
    with pytest.raises(EngineError) as raised, engine.begin() as connection:
        connection.execute(sorted_out)
    assert complaints(raised.value, {"warehouse-failed"}) == []
    assert "SQLSTATE 53400" in str(raised.value)


# --- processes -------------------------------------------------------------------------------------


def test_killed_at_any_time(world: World) -> None:
    """The server gives the place of a killed run away; the next run goes on."""
    dice = random.Random(5)
    wrong = []
    for _ in range(20 if ALL else 2):
        with world.life() as life:
            after = dice.uniform(0.1, 2.5)
            told = [life.url, str(world.home), str(world.extracts[DAY]), str(DAY)]
            process = subprocess.Popen(
                [sys.executable, "-m", "sor_pipeline_tests.server_failures_world", *told],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1],
            )  # fmt: skip
            assert process.stdin
            assert process.stdout
            process.stdout.readline()
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(after)
            process.kill()
            process.communicate()
            found = (["half published"] if life.half_published() else []) + life.wrong()
            wrong += [(after, found)] if found else []
            assert life.hand.lock_holders() == []
    assert wrong == []


@pytest.mark.parametrize("moment", ["before", "amid"])
def test_a_run_that_lost_its_place_does_not_publish(world: World, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The session with the lock ends, the run lives on, and another machine's run takes its place: before the
    publication it then publishes nothing; amid the publication the other waits for what is committed."""
    monkeypatch.setattr(opening, "alone", lambda *_: nullcontext())
    inserted = next(p for p in world.seen[DAY] if "INSERT INTO conformed.publication" in p.text)
    begun = max(
        (p for p in world.seen[DAY] if p.number < inserted.number and p.kind == "committed"), key=lambda p: p.number
    )
    ended: list[str] = []
    with world.life() as life:
        taking = threading.Thread(target=lambda: ended.append(life.run()))

        def strike(point: Point) -> None:
            life.hand.struck.append(point)
            for pid in life.hand.lock_holders():
                life.hand.end(pid)
            taking.start()
            taking.join(None if moment == "before" else 1.0)

        number = begun.number if moment == "before" else inserted.number
        error = life.struck(at(number, strike))
        taking.join()
        if moment == "before":
            assert complaints(error, {"lease-lost"}) == []
            assert ended == ["published"]
        else:
            assert error is None or complaints(error, {"lease-lost"}) == []
            assert ended == ["unchanged"]
        assert not life.half_published()
        assert differences(held_by(life.hand), world.held[DAY]) == []


def test_the_fence_holds_whatever_the_database_says_of_isolation(world: World) -> None:
    """Where transactions would see the moment they began, they would not see who took their place meanwhile."""
    with world.life() as life:
        life.hand.tell(
            f"ALTER DATABASE {sa.make_url(life.url).database} SET default_transaction_isolation = 'serializable'"
        )
        with open_engine(life.url).begin() as connection:
            assert (
                connection.execute(sa.select(sa.func.current_setting("transaction_isolation"))).scalar()
                == "read committed"
            )
        assert life.wrong() == []
