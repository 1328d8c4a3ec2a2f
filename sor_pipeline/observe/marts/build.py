"""Building the marts: dbt in a process of its own, on files that nobody else has open.

Reads: the published file of conformed tables, and the marts as they were
Writes: the file of marts (on a server: see `server`)
Raises: MartsFailed where dbt fails or one of its tests does; SettingsError without dbt or anything published

Nothing waits for dbt and dbt waits for nobody: it reads a second name of the published file, which a
publication in between does not change, and writes into a copy of the marts. The copy becomes the marts by one
rename when all of it is built and no test failed; whoever has the old file open keeps it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from filelock import FileLock, Timeout

from sor_pipeline.engine.files import put_in_place
from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import Fault, MartsFailed, SettingsError
from sor_pipeline.observe.marts import server
from sor_pipeline.observe.marts.project import BUILD, lay_out
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import MARTS, MARTS_BUILDING, Tables

ADAPTERS = {"duckdb": "duckdb", "postgresql": "postgres"}
"""By engine the name that dbt has for it."""
_BUILT_WITH, _PARSED_FOR = "built_with", "parsed_for"
_NAMED = 20
_TRIES = 3
"""Builds before it is told that a publication comes in between every time."""


@dataclass(frozen=True)
class Built:
    """What dbt did: numbers of results by kind and status (`model`, `success`); `warned` names tests."""

    results: dict[str, dict[str, int]]
    warned: tuple[str, ...]
    incremental: bool
    file: Path | None


def hands(ownership: Ownership, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Run:
    """What building needs: no lock, and nothing of the warehouse is opened, so a run may be at work."""
    engine = open_engine(settings.warehouse_url, [settings.home])
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return Run(ownership, engine, Tables(ownership), settings, now, progress)


def installed(*, dagster: bool = False, adapter: str = "duckdb") -> bool:
    """Whether dbt is there, for this kind of warehouse (and what shows it in Dagster); asked without loading it."""
    names = ("dbt", f"dbt.adapters.{adapter}", *(("dagster_dbt",) if dagster else ()))
    try:
        return all(importlib.util.find_spec(name) is not None for name in names)
    except ModuleNotFoundError:  # the package around one of them
        return False


def adapter(settings: Settings) -> str:
    """The name that dbt has for the warehouse."""
    return ADAPTERS[sa.make_url(settings.warehouse_url).get_backend_name()]


def parsed_for(settings: Settings) -> str:
    """Fingerprint of the document for which dbt last parsed the project; empty where it never did."""
    marker = settings.dbt / _PARSED_FOR
    known = marker.exists() and (settings.dbt / "target" / "manifest.json").exists()
    return marker.read_text(encoding="utf-8") if known else ""


def prepare(run: Run) -> Path:
    """Lay the project out for the document and parse it; returns its manifest, from which Dagster draws the marts."""
    folder, _ = lay_out(run.ownership, run.settings)
    _dbt(run, folder, "parse")
    return folder / "target" / "manifest.json"


def build(run: Run, *, afresh: bool = False, docs: bool = False) -> Built:
    """Build and test everything; `docs`: also dbt's pages, as one file.

    `afresh`: whole history again; on a server, where all is built every time, tables that nothing is kept of.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _built(run, afresh=afresh, docs=docs)
        except MartsFailed as error:
            if not left or error.faults[0].code != "marts-overtaken":
                raise
            run.progress("a run published meanwhile: dbt builds again")
    raise AssertionError


def _built(run: Run, *, afresh: bool, docs: bool) -> Built:
    folder, digest = lay_out(run.ownership, run.settings)
    with building(run, folder, digest, afresh=afresh) as incremental:
        _dbt(run, folder, "build")
        results = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
        if docs:
            _dbt(run, folder, "docs", "generate", "--static")
            run.settings.reports.mkdir(parents=True, exist_ok=True)
            page = (folder / "target" / "static_index.html").read_text(encoding="utf-8")
            (run.settings.reports / "dbt.html").write_text(page.replace(MARTS_BUILDING, MARTS), encoding="utf-8")
    counted: dict[str, dict[str, int]] = {}
    for one in results:
        statuses = counted.setdefault(one["unique_id"].split(".", 1)[0], {})
        statuses[one["status"]] = statuses.get(one["status"], 0) + 1
    warned = tuple(one["unique_id"].split(".")[2] for one in results if one["status"] == "warn")
    return Built(counted, warned, incremental, run.settings.marts if _embedded(run) else None)


@contextmanager
def building(
    run: Run, folder: Path, digest: str, *, afresh: bool = False, part: bool = False, wait: float = 0
) -> Iterator[bool]:
    """dbt's files laid ready in `folder`, and what it built put in place where the block ends well.

    `part`: only some models are built, and need the others as they were.
    Gives whether the marts as they were are there to be added to: they are of an earlier state of the same
    publications, built by the same project (`digest`).
    """
    if not _embedded(run):
        _refuse_unpublished(run, run.engine.exported(run.tables.publication, run.settings.conformed))
        with _alone(folder, wait), server.beside(run, afresh=afresh, part=part, wait=wait):
            yield False
        return
    with _alone(folder, wait):
        build = folder / BUILD
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        publications = _published(run, build / run.settings.conformed.name)
        built_with = folder / _BUILT_WITH
        same = built_with.exists() and built_with.read_text(encoding="utf-8") == digest
        incremental = same and not afresh and _continues(run, publications)
        fresh = build / run.settings.marts.name
        if incremental:
            shutil.copyfile(run.settings.marts, fresh)
        yield incremental
        built_with.unlink(missing_ok=True)  # a stop between the two files may not pair one with the other
        run.settings.marts.with_name(run.settings.marts.name + ".wal").unlink(missing_ok=True)
        put_in_place(fresh, run.settings.marts)
        built_with.write_text(digest, encoding="utf-8")
        shutil.rmtree(build, ignore_errors=True)


@contextmanager
def _alone(folder: Path, wait: float) -> Iterator[None]:
    try:
        with FileLock(folder / "build.lock", timeout=wait):
            yield
    except Timeout as error:
        raise MartsFailed(
            Fault("marts-in-progress", str(folder), "somebody else builds the marts", "its build.lock is held",
                  "one build at a time", "wait until it has ended")
        ) from error  # fmt: skip


def _published(run: Run, name: Path) -> pa.Table:
    """The published file under a second name, which a publication does not replace; gives its publications.

    Raises SettingsError where nothing is published, or not with the document as it is now.
    """
    file = run.settings.conformed
    try:
        os.link(file, name)
    except FileNotFoundError as error:
        raise _nothing(run, "nothing is published", "no file") from error
    except OSError:  # a file system without second names
        shutil.copyfile(file, name)
    return _refuse_unpublished(run, run.engine.exported(run.tables.publication, name))


def _refuse_unpublished(run: Run, publications: pa.Table | None) -> pa.Table:
    if publications is None or publications.num_rows == 0:
        raise _nothing(run, "nothing is published", "no publication")
    if publications["fingerprint"][-1].as_py() != run.ownership.fingerprint:
        raise _nothing(run, "the document is not the one of the last publication", "another fingerprint")
    return publications


def _nothing(run: Run, what: str, found: str) -> SettingsError:
    where = str(run.settings.conformed) if _embedded(run) else "schema conformed"
    return SettingsError(
        Fault("nothing-to-build-of", where, what, found, "conformed tables of this document", "run `sor run` first")
    )


def _continues(run: Run, publications: pa.Table) -> bool:
    """Whether the publications that the marts know are the first of those that are published."""
    publication = run.tables.publication
    names = ("publication", "published_at", "fingerprint", "created", "changed", "retired")
    known = sa.Table("dim_publication", sa.MetaData(), *(publication.c[name]._copy() for name in names), schema="marts")
    before = run.engine.exported(known, run.settings.marts)
    if before is None or before.num_rows == 0:
        return False
    return bool(publications.select(list(names)).slice(0, before.num_rows).equals(before))


def _embedded(run: Run) -> bool:
    return run.engine.name == "duckdb"


def environment(run: Run) -> dict[str, str]:
    """What the profile reads, besides what is set: which target, and where a server is."""
    env = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "SOR_DBT_TARGET": run.engine.name}
    return env if _embedded(run) else env | server.environment(sa.make_url(run.settings.warehouse_url))


def _dbt(run: Run, folder: Path, *command: str) -> None:
    """Run dbt on the project in `folder`; what it says is kept in its log.

    Raises SettingsError where it is not installed, MartsFailed with every error where it fails.
    """
    kind = adapter(run.settings)
    if not installed(adapter=kind):
        raise SettingsError(
            Fault("no-dbt", "", "dbt is not installed", "", f"dbt-core and dbt-{kind}", "install sor-pipeline[dbt]")
        )
    run.progress(f"dbt {' '.join(command)}")
    program = "import sys; from dbt.cli.main import cli; sys.argv[0] = 'dbt'; cli()"
    log = folder / "logs" / "console.log"
    log.parent.mkdir(exist_ok=True)
    places = {"PROFILES_DIR": folder, "PROJECT_DIR": folder, "TARGET_PATH": folder / "target", "LOG_PATH": log.parent}
    env = {**os.environ, **environment(run), **{f"DBT_{name}": str(path) for name, path in places.items()}}
    arguments = [sys.executable, "-c", program, *command]
    with log.open("w", encoding="utf-8") as said:
        done = subprocess.run(arguments, cwd=folder, env=env, stdout=said, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise MartsFailed(*_errors(folder, command, log))
    (folder / _PARSED_FOR).write_text(run.ownership.fingerprint, encoding="utf-8")


def _errors(folder: Path, command: tuple[str, ...], log: Path) -> tuple[Fault, ...]:
    """What failed, by name; dbt's own words, which may hold values, stay in its log."""
    todo = f"read {log}; the last marts stay readable"
    path = folder / "target" / "run_results.json"
    results: list[Mapping[str, Any]] = []
    if command[0] == "build" and path.exists() and path.stat().st_mtime >= log.stat().st_ctime:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
    failed = [one for one in results if one["status"] in ("error", "fail", "runtime error")]
    if not failed:
        return (Fault("dbt-failed", f"dbt {' '.join(command)}", "dbt could not do it", "", "", todo),)
    return tuple(
        Fault("mart-failed", one["unique_id"], f"{one['unique_id'].split('.', 1)[0]}: {one['status']}",
              f"{one['failures']} rows" if one.get("failures") else "", "no failure", todo)
        for one in failed[:_NAMED]
    )  # fmt: skip
