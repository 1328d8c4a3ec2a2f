"""Dagster as `deploy/` has it: code server, web server and daemon as real processes, each by its unit's own command.

Belongs here: starting and stopping them, and asking the web server. Does not: any assertion.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = ("sor-code", "sor-webserver", "sor-daemon")
PATIENCE = 300.0
"""Seconds; far more than it takes on a machine with nothing else to do."""

LOCATION = (
    'query { locationOrError: workspaceLocationEntryOrError(name: "sor_pipeline") { ... on WorkspaceLocationEntry {'
)
LOCATION += " loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } }"
LAUNCH = """
mutation ($job: String!) { launch: launchRun(executionParams: {selector: {repositoryName: "__repository__",
  repositoryLocationName: "sor_pipeline", jobName: $job}, mode: "default", runConfigData: {}}) {
  __typename ... on LaunchRunSuccess { run { runId status } } ... on PythonError { message } } }
"""
SCHEDULE = """
mutation ($name: String!) { started: startSchedule(scheduleSelector: {repositoryName: "__repository__",
  repositoryLocationName: "sor_pipeline", scheduleName: $name}) {
  __typename ... on ScheduleStateResult { scheduleState { status } } ... on PythonError { message } } }
"""
RUNS = "query { runs: runsOrError(limit: 10) { ... on Runs { results { runId status jobName tags { key value } } } } }"
TERMINATE = "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }"


def exec_start(unit: str) -> str:
    """The command of a unit, as it stands in its file."""
    found = re.search(r"^ExecStart=(.+)$", (DEPLOY / f"{unit}.service").read_text(), re.MULTILINE)
    assert found, unit
    return found[1]


def command(unit: str, environment: dict[str, str]) -> list[str]:
    """The unit's command as it would run here."""
    text = exec_start(unit).replace("/opt/sor_pipeline/.venv/bin", str(Path(sys.executable).parent))
    text = text.replace("/opt/sor_pipeline/deploy", str(DEPLOY))
    return shlex.split(re.sub(r"\$\{(\w+)\}", lambda name: environment[name[1]], text))


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def variables(folder: Path, storage: str, **more: str) -> dict[str, str]:
    """What `env.example` names, for one machine's folder and a database for Dagster's storage (its URL)."""
    url = sa.make_url(storage)
    found = {name: value for name, value in os.environ.items() if not name.startswith(("SOR_", "DAGSTER_", "PG"))}
    socket_folder = url.query.get("host")
    if socket_folder:
        found["PGHOST"] = str(socket_folder)
    return found | {
        "DAGSTER_HOME": str(folder / "dagster"),
        "DAGSTER_PG_HOST": url.host or "",
        "DAGSTER_PG_PORT": str(url.port or 5432),
        "DAGSTER_PG_DB": url.database or "",
        "DAGSTER_PG_USER": url.username or "postgres",
        "DAGSTER_PG_PASSWORD": str(url.password or ""),
        "SOR_CODE_HOST": "127.0.0.1",
        "SOR_CODE_PORT": free_port(),
        "SOR_UI_PORT": free_port(),
        "SOR_OWNERSHIP": str(folder / "ownership.yaml"),
        "SOR_HOME": str(folder / "home"),
        "SOR_EXTRACTS": str(folder),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


@dataclass
class Deployed:
    """The three processes of one machine; `ask` goes to the web server."""

    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, unit: str) -> None:
        with (self.folder / f"{unit}.log").open("ab") as log:
            self.processes[unit] = subprocess.Popen(
                command(unit, self.environment), cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def stop(self, unit: str, seconds: float = 60) -> int:
        """SIGTERM to its whole group, as systemd does. Returns its exit code; SIGKILL after `seconds`."""
        process = self.processes.pop(unit)
        _signal(process, signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            _signal(process, signal.SIGKILL)
            process.wait()

    def log(self, unit: str) -> str:
        return (self.folder / f"{unit}.log").read_text(errors="replace")

    def ask(self, query: str, **values: object) -> Any:
        """The answer's `data`."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.environment['SOR_UI_PORT']}/graphql",
            json.dumps({"query": query, "variables": values}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = json.load(answer)
        assert "errors" not in said, said["errors"]
        return said["data"]

    def until(self, what: str, found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """The first answer that is something; fails with the logs where a process ends or time is up."""
        deadline, said = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            ended = [unit for unit, process in self.processes.items() if process.poll() is not None]
            if ended:
                break
            try:
                answer = found()
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                said, answer = str(error), None
            if answer:
                return answer
            time.sleep(0.5)
        logs = "\n".join(
            f"--- {unit}\n{self.log(unit)[-3000:]}" for unit in UNITS if (self.folder / f"{unit}.log").exists()
        )
        raise AssertionError(f"waited in vain for {what} ({said})\n{logs}")

    def run(self, job: str) -> dict[str, Any] | None:
        """The oldest run of a job."""
        runs = [one for one in self.ask(RUNS)["runs"]["results"] if one["jobName"] == job]
        return runs[-1] if runs else None

    def finished(self, job: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The oldest run of a job, when it is over."""

        def over() -> dict[str, Any] | None:
            run = self.run(job)
            return run if run and run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

        found: dict[str, Any] = self.until(f"the end of {job}", over, seconds)
        return found


@contextmanager
def deployed(folder: Path, environment: dict[str, str]) -> Iterator[Deployed]:
    """All three up, the code location loaded; all gone when the block ends. Logs stay in the folder."""
    (folder / "dagster").mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", folder / "dagster")
    world = Deployed(folder, environment)
    try:
        for unit in UNITS:
            world.start(unit)

        def loaded() -> bool:
            entry = world.ask(LOCATION)["locationOrError"]
            return bool(entry) and (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"

        world.until("the code location", loaded)
        yield world
    finally:
        for process in world.processes.values():
            _signal(process, signal.SIGTERM)
        for unit in list(world.processes):
            world.stop(unit)


def _signal(process: subprocess.Popen[bytes], which: signal.Signals) -> None:
    """To the process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, which)
