"""What stands in `deploy/`: read by those who read it in production, and run as real processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from sor_pipeline import flow
from sor_pipeline.defs.jobs import PUBLISHES, WHOLE_FLOW
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.settings import Settings
from sor_pipeline_tests.deployed_world import (
    DEPLOY,
    LAUNCH,
    SCHEDULE,
    UNITS,
    command,
    deployed,
    exec_start,
    variables,
)
from sor_pipeline_tests.postgres_server import OwnServer, PostgresServer, found
from sor_pipeline_tests.test_definitions import ACCOUNTS, CONTACTS, DOCUMENT, MEMBERS, deliver

HOUSE = DEPLOY.parent
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$|WAREHOUSE_URL")


def example(name: str) -> dict[str, str]:
    """Variables of an example file, with what stands behind them."""
    lines = (DEPLOY / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- files ---------------------------------------------------------------------------------------


def test_the_instance_is_what_dagster_takes(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded as the daemon loads it, against a real server: through its socket where it has one."""
    environment = variables(tmp_path, postgres_url)
    for name in ("PGHOST", *environment):
        if name.startswith(("DAGSTER_", "PG")) and name in environment:
            monkeypatch.setenv(name, environment[name])
    home = Path(environment["DAGSTER_HOME"])
    home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.run_storage).__module__.startswith("dagster_postgres")
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        assert instance.get_runs_count() == 0
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 4
        assert {"key": "sor/publishes", "limit": 1} in list(queue.tag_concurrency_limits or [])
        assert not queue.should_block_op_concurrency_limited_runs or instance.global_op_concurrency_default_limit == 1
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
        assert instance.run_monitoring_max_runtime_seconds > 0
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        ticks = instance.get_tick_retention_settings(dg._core.definitions.run_request.InstigatorType.SENSOR)
        assert all(days > 0 for days in ticks.values())


def test_limits_are_about_tags_that_jobs_have(tmp_path: Path) -> None:
    limits = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())["concurrency"]["runs"]["tag_concurrency_limits"]
    assert set(PUBLISHES) <= {limit["key"] for limit in limits}


def test_the_workspace_is_the_code_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.workspace.config_schema import process_workspace_config

    monkeypatch.setenv("SOR_CODE_HOST", "127.0.0.1")
    monkeypatch.setenv("SOR_CODE_PORT", "4266")
    loaded = process_workspace_config(yaml.safe_load((DEPLOY / "workspace.yaml").read_text()))
    assert loaded.success, loaded.errors
    assert example("env.example").keys() >= {"SOR_CODE_HOST", "SOR_CODE_PORT"}


def test_every_variable_that_is_read_is_in_the_examples() -> None:
    named = set(example("env.example")) | set(example("secrets.example"))
    texts = "".join((DEPLOY / name).read_text() for name in ("dagster.yaml", "workspace.yaml"))
    read = set(re.findall(r"env: (\w+)", texts)) | {
        name for unit in UNITS for name in re.findall(r"\$\{(\w+)\}", exec_start(unit))
    }
    read |= set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text())) - {"SOR_TAG"}
    read |= set(re.findall(r'"(SOR_\w+)"', (HOUSE / "sor_pipeline/settings.py").read_text()))
    assert read - named == set()


def test_no_secret_stands_in_a_file() -> None:
    for name in ("env.example", "secrets.example"):
        assert {value for key, value in example(name).items() if SECRET.search(key)} <= {""}
    for path in DEPLOY.iterdir():
        for line in path.read_text().replace("secret: NAME", "").splitlines():
            for key, value in re.findall(
                r"((?:\w*_)?(?:PASSWORD|TOKEN|SECRET))\b\s*[:=]\s*([^\s,}`]+)", line, re.IGNORECASE
            ):
                spared = value.startswith(("${", "?", "{env", "NAME")) or (
                    path.suffix == ".sql" and value.startswith("'")
                )
                assert spared, f"{path.name}: {key} has a value"


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_what_systemd_takes(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / f"{unit}.service").read_text()
    for line in ("NoNewPrivileges=true", "ProtectSystem=strict", "PrivateTmp=true", "CapabilityBoundingSet=", "User=sor",
                 "EnvironmentFile=/etc/sor/sor.env", "Restart=always"):  # fmt: skip
        assert f"{line}\n" in text, line
    program = command(unit, example("env.example"))
    assert Path(program[0]).exists()
    verify = shutil.which("systemd-analyze")
    if verify:
        for name in UNITS:
            words = (
                (DEPLOY / f"{name}.service")
                .read_text()
                .replace("/opt/sor_pipeline/.venv/bin", str(Path(sys.executable).parent))
            )
            (tmp_path / f"{name}.service").write_text(words)
        done = subprocess.run([verify, "verify", "--man=no", "--recursive-errors=no", str(tmp_path / f"{unit}.service")],
                              capture_output=True, text=True, check=False)  # fmt: skip
        said = [line for line in done.stderr.splitlines() if unit in line]
        assert not said, said


def test_only_the_code_server_sees_the_warehouse_and_the_tools() -> None:
    reading = [unit for unit in UNITS if "secrets.env" in (DEPLOY / f"{unit}.service").read_text()]
    assert reading == ["sor-code"]
    services = COMPOSE["services"]
    told = {
        name for name, one in services.items() if "SOR_WAREHOUSE_URL" in one.get("environment", {}) or "env_file" in one
    }
    assert told == {"code"}


def stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's instructions, stage by stage."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    found: list[list[tuple[str, str]]] = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                found.append([])
            found[-1].append((word, rest.strip()))
    return found


def test_the_image_copies_what_is_there_and_runs_as_nobody() -> None:
    build, run = stages()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for word, rest in [*build, *run]:
        assert word in {"FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}, word
        assert not (word == "ENV" and SECRET.search(rest)), rest
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (HOUSE / source).exists(), source
                assert f"!{source}" in ignored, f"{source} is not sent to the builder"
    users = [rest for word, rest in run if word == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("0", "root")
    after = [word for word, _ in run][[word for word, _ in run].index("USER") :]
    assert "RUN" not in after
    assert {"HEALTHCHECK", "CMD"} <= {word for word, _ in run}
    assert "--frozen" in " ".join(rest for _, rest in build)


def test_the_image_installs_extras_that_there_are() -> None:
    extras = set(tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    asked = set(re.findall(r"--extra (\w+)", (DEPLOY / "Dockerfile").read_text()))
    assert asked <= extras
    assert {"dagster", "postgres"} <= asked


def test_compose_starts_things_when_what_they_need_is_well() -> None:
    services: dict[str, dict[str, Any]] = COMPOSE["services"]
    assert set(services) == {"postgres", "code", "webserver", "daemon"}
    for name, one in services.items():
        assert "healthcheck" in one or name == "code", "the image has the code server's"
        assert one["restart"] == "unless-stopped"
        for needed, how in one.get("depends_on", {}).items():
            assert needed in services
            assert how == {"condition": "service_healthy"}
        for key, value in one.get("environment", {}).items():
            assert not SECRET.search(key) or re.search(r"\$\{\w+:\?", value), f"{name}: {key} must come from outside"
        for mount in one["volumes"]:
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith(("${", "./")), mount
            assert not source.startswith("./") or (DEPLOY / source).exists()
        for port in one.get("ports", []):
            assert port.startswith("127.0.0.1:"), "the pages ask nobody who they are"
    assert set(services["webserver"]["depends_on"]) == {"postgres", "code"}


def test_compose_and_units_run_the_same_commands() -> None:
    for unit in ("webserver", "daemon"):
        unit_words = command(f"sor-{unit}", example("env.example"))
        compose_words = [str(word) for word in COMPOSE["services"][unit]["command"]]
        assert Path(unit_words[0]).name == compose_words[0]
        options = {word for word in unit_words if word.startswith("--")}
        assert options == {word for word in compose_words if word.startswith("--")}


def test_the_databases_are_made_for_their_owners_alone(postgres: PostgresServer) -> None:
    """The script that compose runs once, run by psql on a server that is ours."""
    url = sa.make_url(postgres.url)
    psql = shutil.which("psql", path=os.pathsep.join(str(folder) for folder in found({}))) or shutil.which("psql")
    if psql is not None and isinstance(
        postgres, OwnServer
    ):  # roles belong to the whole server: nobody else's is touched
        host = str(url.query.get("host") or url.host)
        told = os.environ | {"DAGSTER_PG_PASSWORD": "it's", "SOR_PG_PASSWORD": "one"}
        words = [psql, "-X", "-h", host, "-U", str(url.username), "-d", "postgres", "-f", str(DEPLOY / "databases.sql")]
        try:
            done = subprocess.run(words, env=told, capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, done.stderr
            engine = sa.create_engine(postgres.url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                asked = "SELECT has_database_privilege('dagster', 'sor', 'CONNECT'), has_database_privilege('sor', 'sor', 'CREATE')"
                assert tuple(connection.exec_driver_sql(asked).one()) == (False, True)
            engine.dispose()
        finally:
            for name in ("dagster", "sor"):
                postgres.tell(f"DROP DATABASE IF EXISTS {name}")
                postgres.tell(f"DROP ROLE IF EXISTS {name}")


# --- processes -----------------------------------------------------------------------------------


def world_of(folder: Path, every: str = "6 hours") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ownership.yaml").write_text(DOCUMENT.replace("every: 6 hours", f"every: {every}"))
    settings = Settings.read({}, ownership=folder / "ownership.yaml", home=folder / "home", extracts=folder)
    deliver(settings, "crm/accounts-20240101.csv", ACCOUNTS)
    deliver(settings, "crm/contacts-20240101.csv", CONTACTS)
    deliver(settings, "mail/members-20240101.csv", MEMBERS)
    return folder


def conformed(environment: dict[str, str], name: str) -> set[tuple[object, ...]]:
    """Rows of a conformed table without its id."""
    settings = Settings.read(environment)
    with flow.reading(load_checked(settings.ownership), settings) as run, run.engine.begin() as connection:
        table = run.tables.conformed[name]
        fields = [table.c[field] for field in run.ownership.entities[name].fields if field != "account"]
        return {tuple(row) for row in connection.execute(sa.select(*fields))}


PUBLISHED = {"Larch Ltd": "GB", "Birch GmbH": "DE"}


def test_by_the_clock_a_run_goes_through_the_queue(tmp_path: Path, fresh_database: Callable[[], str]) -> None:
    """The schedule is switched on in the pages, and its tick makes the run. DuckDB; storage and queue on PostgreSQL."""
    environment = variables(world_of(tmp_path / "world", every="1 minute"), fresh_database())
    with deployed(tmp_path / "world", environment) as world:
        started = world.ask(SCHEDULE, name=f"{WHOLE_FLOW}_by_the_clock")["started"]
        assert started["scheduleState"]["status"] == "RUNNING", started
        run = world.finished(WHOLE_FLOW)
        assert run["status"] == "SUCCESS", world.log("sor-code")[-5000:]
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        assert tags["dagster/schedule_name"] == f"{WHOLE_FLOW}_by_the_clock"
        assert tags["sor/publication"] == "1 (published)"
        assert dict(conformed(environment, "account")) == PUBLISHED
        assert len(conformed(environment, "contact")) == 2
        codes = {unit: world.stop(unit) for unit in ("sor-daemon", "sor-webserver", "sor-code")}
    assert all(code in (0, -15, 143) for code in codes.values()), codes
    migrated = subprocess.run(  # as when upgrading: all three stopped
        [Path(sys.executable).with_name("dagster"), "instance", "migrate"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert migrated.returncode == 0, migrated.stderr[-2000:]


def test_launched_from_the_pages_a_run_publishes_on_postgresql(
    tmp_path: Path, fresh_database: Callable[[], str]
) -> None:
    """Sources in two processes at once. Then all is stopped as a machine stops it."""
    environment = variables(
        world_of(tmp_path / "world"), fresh_database(), SOR_WAREHOUSE_URL=fresh_database(), SOR_PROCESSES="2"
    )
    with deployed(tmp_path / "world", environment) as world:
        launched = world.ask(LAUNCH, job=WHOLE_FLOW)["launch"]
        assert launched["run"]["status"] == "QUEUED", launched
        run = world.finished(WHOLE_FLOW)
        assert run["status"] == "SUCCESS", world.log("sor-code")[-5000:]
        assert {"key": "sor/publishes", "value": "conformed"} in run["tags"]
        assert dict(conformed(environment, "account")) == PUBLISHED
        assert len(conformed(environment, "contact")) == 2
        assert "in subprocess" in world.log("sor-code")
