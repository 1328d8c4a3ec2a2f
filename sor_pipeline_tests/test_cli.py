"""The command `sor` as a shell sees it: exit codes, JSON, wording, and never a traceback."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sor_pipeline.cli import BLOCKED, BUSY, FAULTS, UNAVAILABLE, USAGE, app, main
from sor_pipeline.opening import alone
from sor_pipeline.settings import Settings

COMMANDS = [
    *sorted(command.callback.__name__.replace("_", "-") for command in app.registered_commands if command.callback),
    *("match", "match train", "match score"),
]
DOCUMENT = """\
systems:
  crm: {role: record}
  desk: {role: engagement}
entities:
  contact:
    owner: crm
    match:
      - same: [email]
    fields:
      email: {type: email, personal: true, required: true, severity: {required: block}}
      city: {type: text}
sources:
  crm.contacts:
    entity: contact
    extract: {files: "crm/*.csv"}
    key: id
    fields: {email: email, city: city}
  desk.users:
    entity: contact
    extract: {files: "desk/*.csv"}
    key: id
    fields: {email: email, city: city}
    accepts: [city]
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def sor(*words: str | Path) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
    assert "Traceback" not in out.getvalue() + err.getvalue()
    return Answer(int(str(code or 0)), out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SOR_OWNERSHIP", "SOR_HOME", "SOR_EXTRACTS", "SOR_WAREHOUSE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Shop:
    """A blocked first run, then one that passes, in a folder of its own."""

    folder: Path
    blocked: Answer
    passed: Answer

    def sor(self, *words: str | Path) -> Answer:
        return sor(*words, "--ownership", self.folder / "ownership.yaml", "--home", self.folder / ".sor")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "ownership.yaml").write_text(DOCUMENT, encoding="utf-8")
    made = Shop(folder, Answer(0, "", ""), Answer(0, "", ""))
    for name in ("crm", "desk"):
        (folder / name).mkdir()
    (folder / "desk/2026-03-01.csv").write_text("id,email,city\nu1,ann@x.example,Rome\n", encoding="utf-8")
    (folder / "crm/2026-03-01.csv").write_text("id,email,city\n1,,Oslo\n2,bo@x.example,Bern\n", encoding="utf-8")
    blocked = made.sor("run", "--json", "--as-of", "2026-03-01T01:00:00")
    (folder / "crm/2026-03-02.csv").write_text(
        "id,email,city\n1,ann@x.example,Oslo\n2,bo@x.example,Bern\n", encoding="utf-8"
    )
    passed = made.sor("run", "--json", "--as-of", "2026-03-02T01:00:00")
    return Shop(folder, blocked, passed)


@pytest.fixture
def demo(played: Path) -> list[str]:
    return ["--home", str(played)]


# ------------------------------------------------------------------------------------- 0: done


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_helps(command: str) -> None:
    answer = sor(*command.split(), "--help")
    assert answer.code == 0
    assert len(answer.out.splitlines()) > 5


def test_the_help_of_the_whole_names_the_exit_codes() -> None:
    words = " ".join(sor("--help").out.split())
    assert (
        "0 done, 1 faults or not found, 2 usage, 3 publication blocked, 4 warehouse unavailable, 5 another run is at work"
        in words
    )


def test_a_run_that_passes(shop: Shop) -> None:
    assert (shop.passed.code, shop.passed.data["state"], shop.passed.data["publication"]) == (0, "published", 1)
    assert shop.passed.data["faults"] == []


@pytest.mark.parametrize(
    "words",
    [
        "check", "status", "conflicts", "conflicts --entity contact", "conflicts --field email --limit 3",
        "conflicts --entity contact --field email", "why contact 1031000", "why contact 1031000 email", "corrections",
        "corrections marketo", "decisions", "decisions --all --entity contact", "review",
    ],
)  # fmt: skip
def test_json_parses_and_tables_fit_the_terminal(words: str, demo: list[str]) -> None:
    """The demo's document is found beside the demo's state."""
    answer = sor(*words.split(), "--json", *demo)
    assert answer.code == 0
    assert isinstance(answer.data, list | dict)
    told = sor(*words.split(), *demo)
    assert told.code == 0
    tables = [line for line in told.out.splitlines() if "──" in line]
    assert all(len(line.rstrip()) <= 80 for line in tables)


def test_why_names_the_system_and_everybodys_claim(demo: list[str]) -> None:
    answer = sor("why", "contact", "1031000", "email", "--json", *demo).data[0]
    assert [cell["system"] for cell in answer["cells"]] == ["hubspot"]
    assert {"hubspot", "marketo"} <= {claim["system"] for claim in answer["claims"]}
    assert "email is owned by hubspot." in sor("why", "contact", "1031000", "email", *demo).out


def test_the_owner_s_value_reaches_the_system_that_disagrees(shop: Shop) -> None:
    wanted = [
        (one["system"], one["column"], one["observed"], one["wanted"]) for one in shop.sor("corrections", "--json").data
    ]
    assert wanted == [("desk", "city", "Rome", "Oslo")]


def test_schema_and_version() -> None:
    assert json.loads(sor("schema").out)["type"] == "object"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", sor("version").out)


def test_what_is_accepted_is_accepted_once(shop: Shop) -> None:
    wrong = shop.sor("accept", "shrink:crm.contacts:x", "--reason", "moved")
    batch = re.search(r"20260302T000000-\w+", wrong.err)
    assert (wrong.code, wrong.out, batch is not None) == (FAULTS, "", True)
    assert batch
    words = ("accept", f"shrink:crm.contacts:{batch[0]}", "--reason", "moved", "--json")
    assert [shop.sor(*words).data["fresh"] for _ in range(2)] == [True, False]
    near = shop.sor("accept", f"shrink:crm.contcats:{batch[0]}", "--reason", "moved", "--json")
    assert (near.code, "did you mean `crm.contacts`" in near.data["faults"][0]["todo"]) == (FAULTS, True)


BO, ANN = ("crm.contacts:2", "desk.users:u1"), ("crm.contacts:1", "desk.users:u1")


def test_a_decision_is_taken_told_listed_and_withdrawn(shop: Shop) -> None:
    told = shop.sor("unlink", *ANN, "--reason", "two Anns", "--by", "jo")
    assert told.code == 0
    assert "crm.contacts:1 and desk.users:u1 are two different contacts." in told.out
    assert "Take it back: sor withdraw" in told.out
    said = shop.sor("decisions", "--json").data
    assert [(one["kind"], one["by"], one["reason"], one["state"], one["pending"]) for one in said] == [
        ("unlink", "jo", "two Anns", "in force", True)
    ]
    number = str(said[0]["decision"])
    again = shop.sor("unlink", *ANN[::-1], "--reason", "two Anns", "--json")
    assert (again.code, again.data["faults"][0]["code"]) == (FAULTS, "decided-already")
    coming = shop.sor("why-linked", *ANN, "--json").data
    assert (coming["together"], coming["path"][0]["rule"]) == (True, "same:email")
    assert f"decision {number} keeps them apart" in coming["coming"]
    assert shop.sor("withdraw", number, "--reason", "one Ann", "--json").data["withdraws"] == int(number)
    assert shop.sor("decisions", "--json").data == []
    assert {one["state"] for one in shop.sor("decisions", "--all", "--json").data} == {"withdrawn", "withdrawal"}
    assert shop.sor("withdraw", number, "--reason", "again").code == FAULTS


def test_who_decides_is_the_user_of_the_machine_unless_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    made = shop.sor("link", *BO, "--reason", "x", "--json").data
    assert (made["by"], made["kind"], made["entity"], made["left"]) == ("grace", "link", "contact", BO[0])
    shop.sor("withdraw", str(made["decision"]), "--reason", "x")


def test_the_stewards_door_of_the_manual(shop: Shop, tmp_path: Path) -> None:
    """The script of docs/access.md, on this shop and as this user: stewards' commands only, under their own names."""
    page = (Path(__file__).parents[1] / "docs/access.md").read_text(encoding="utf-8")
    script = page.partition("<<'END'\n")[2].partition("\nEND\n")[0]
    runuser = "runuser -u root" if os.geteuid() == 0 else "env"
    for told, here in (
        ("/etc/sor/", f"{tmp_path}/"),
        ("runuser -u sor", runuser),
        ("/opt/sor_pipeline/.venv/bin/sor", str(Path(sys.executable).with_name("sor"))),
    ):
        assert told in script
        script = script.replace(told, here)
    (tmp_path / "door").write_text(script, encoding="utf-8")
    names = f"SOR_OWNERSHIP={shop.folder}/ownership.yaml\nSOR_HOME={shop.folder}/.sor\n"
    (tmp_path / "sor.env").write_text(names, encoding="utf-8")
    (tmp_path / "secrets.env").write_text("# none\n", encoding="utf-8")

    def door(*words: str, **names: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": os.environ["PATH"], "LOGNAME": "root", **names}
        return subprocess.run(["sh", tmp_path / "door", *words], env=known, capture_output=True, text=True, check=False)

    said = door("link", *BO, "--reason", "x y", "--json", SUDO_USER="ann")
    assert said.returncode == 0, said.stderr
    made = json.loads(said.stdout)
    assert made["by"] == "ann"
    assert door("withdraw", str(made["decision"]), "--reason", "x", SUDO_USER="ann").returncode == 0
    for words in (
        ("run",),
        ("target", "start", "crm"),
        ("link", *BO, "--reason", "x", "--by=bo"),
        ("cases", "--home", "/"),
    ):
        refused = door(*words, SUDO_USER="ann")
        assert (refused.returncode, "not for stewards" in refused.stderr) == (2, True), words
    assert "sudo" in door("cases").stderr


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        ("link crm.contacts:2 desk.users:zz --reason x", FAULTS, "unknown-record"),
        ("link crm.contacts:2 desk.user:u1 --reason x", FAULTS, "unknown-source"),
        ("unlink crm.contacts:2 u1 --reason x", FAULTS, "record-name"),
        ("link crm.contacts:2 crm.contacts:2 --reason x", FAULTS, "same-record"),
        ("link crm.contacts:2 desk.users:u1 --reason=", FAULTS, "unsigned-decision"),
        ("link crm.contacts:2 desk.users:u1", USAGE, "--reason"),
        ("withdraw 99 --reason x", FAULTS, "unknown-decision"),
        ("withdraw 0 --reason x", USAGE, "NUMBER"),
        ("why-linked crm.contacts:2 desk.users:zz", FAULTS, "unknown-record"),
        ("why-linked crm.contacts:2 --chart x.html", USAGE, "--chart"),
        ("why-linked crm.contacts:1 desk.users:u1 --chart x.png", USAGE, "--chart"),
        ("why-linked crm.contacts:1 desk.users:u1 --chart x.html", FAULTS, "no-score"),
        ("accept churn:contact:0123456789ab --reason x", FAULTS, "unknown-subject"),
        ("decisions --entity contcat", USAGE, "contact"),
        ("review contcat", USAGE, "contact"),
        ("match train", USAGE, "similar"),
        ("match train contact", USAGE, "similar"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(words: str, code: int, fault: str, shop: Shop) -> None:
    answer = shop.sor(*words.split())
    assert (answer.code, fault in answer.err) == (code, True), answer.err
    assert shop.sor("decisions", "--json").data == []


@pytest.mark.parametrize(
    "words", ["link a.b:1 a.b:2 --reason x", "withdraw 1 --reason x", "accept shrink:a:b --reason x"]
)
def test_nothing_is_made_where_nothing_ran(words: str) -> None:
    Path("ownership.yaml").write_text(DOCUMENT, encoding="utf-8")
    answer = sor(*words.split())
    assert (answer.code, "nothing-ran" in answer.err, Path(".sor").exists()) == (USAGE, True, False)


def test_init_writes_a_draft_that_checks(shop: Shop) -> None:
    answer = sor("init", shop.folder / "crm", "--json")
    assert (answer.code, answer.data) == (0, {"written": "ownership.yaml", "notes": []})
    assert sor("check").code == 0
    before = Path("ownership.yaml").read_text(encoding="utf-8")
    assert sor("init", shop.folder / "desk").code == USAGE
    assert Path("ownership.yaml").read_text(encoding="utf-8") == before
    told = sor("init", shop.folder / "crm", "--force", "-o", "other.yaml")
    assert f"sor run --ownership other.yaml --extracts {shop.folder / 'crm'}" in told.out


# ------------------------------------------------------------------------------------- where options stand


def test_the_options_of_the_whole_may_stand_anywhere(shop: Shop) -> None:
    ownership, home = shop.folder / "ownership.yaml", shop.folder / ".sor"
    front = sor("--home", home, "--ownership", ownership, "status", "--json")
    assert front.code == 0
    for words in (
        ("status", "--json", "--home", home, "--ownership", ownership),
        ("status", f"--home={home}", "--json", f"--ownership={ownership}"),
        ("--home", home, "status", "--ownership", ownership, "--json"),
    ):
        assert sor(*words) == front


def test_words_behind_two_dashes_stay_where_they_are(shop: Shop) -> None:
    ownership, home = shop.folder / "ownership.yaml", shop.folder / ".sor"
    answer = sor("--ownership", ownership, "--home", home, "why", "contact", "--", "--home")
    assert (answer.code, "has the id or key --home" in answer.err) == (FAULTS, True)


@pytest.mark.parametrize("option", ["--home", "--ownership", "--extracts"])
def test_an_option_without_its_value_is_wrong_usage(option: str) -> None:
    assert sor("status", option).code == USAGE


# ------------------------------------------------------------------------------------- 1: faults, or not found


BROKEN = {
    "syntax": "systems:\n  a: {title: A\n  b: [\n",
    "twice": "systems:\n  a: {role: record}\n  a: {role: record}\n",
    "unknown key": DOCUMENT.replace("role: engagement", "rolle: engagement"),
    "unknown type": DOCUMENT.replace("type: text", "type: txet"),
    "unknown owner": DOCUMENT.replace("owner: crm", "owner: crn"),
    "unknown field": DOCUMENT.replace("accepts: [city]", "accepts: [town]"),
    "a list": "- systems\n- entities\n",
    "tab": "systems:\n\ta: {role: record}\n",
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nsystems: [*b, *b]\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
@pytest.mark.parametrize("command", ["check", "run", "status"])
def test_a_broken_document_is_told_by_file_and_line(broken: str, command: str) -> None:
    Path("ownership.yaml").write_text(broken, encoding="utf-8")
    answer = sor(command)
    assert answer.code == FAULTS
    assert re.search(r"ownership\.yaml:\d+: ", answer.err)
    assert re.search(r"\[[a-z-]+\]$", answer.err.splitlines()[0])
    machine = sor(command, "--json")
    faults = machine.data if command == "check" else machine.data["faults"]
    assert machine.code == FAULTS
    assert any(re.fullmatch(r".*ownership\.yaml:\d+", fault["where"]) for fault in faults)
    assert not Path(".sor").exists()


def test_what_is_not_there_is_not_found(demo: list[str]) -> None:
    answer = sor("why", "contact", "no-such-key", *demo)
    assert (answer.code, answer.out) == (FAULTS, "")
    assert "no contact has the id or key no-such-key" in answer.err


# ------------------------------------------------------------------------------------- 2: usage


@pytest.mark.parametrize("command", ["check", "run", "status", "conflicts", "corrections"])
def test_no_document(command: str) -> None:
    answer = sor(command)
    assert (answer.code, "document-missing" in answer.err) == (USAGE, True)
    assert sor(command, "--json").data


def test_nothing_ran_yet() -> None:
    Path("ownership.yaml").write_text(DOCUMENT, encoding="utf-8")
    answer = sor("status")
    assert (answer.code, "sor run" in answer.err) == (USAGE, True)
    assert not Path(".sor").exists()


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        ("why contcat 1", "contact"), ("why contact 1031000 emial", "email"), ("conflicts --entity foo", "account"),
        ("conflicts --field foo", "amount"), ("corrections foo", "marketo"), ("conflicts --limit 0", "--limit"),
        ("nonsense", "nonsense"), ("why", "ENTITY"), ("run --as-of soon", "--as-of"),
    ],
)  # fmt: skip
def test_wrong_words_are_answered_with_the_right_ones(words: str, helps: str, demo: list[str]) -> None:
    answer = sor(*words.split(), *demo)
    assert answer.code == USAGE
    assert helps.lower() in answer.err.lower()


def test_the_demo_spares_what_is_not_its_own(shop: Shop) -> None:
    answer = shop.sor("demo")
    assert answer.code == USAGE
    assert (shop.folder / ".sor/warehouse.duckdb").exists()


def test_a_folder_without_extracts_is_told() -> None:
    Path("empty").mkdir()
    answer = sor("init", "empty")
    assert (answer.code, "no-extracts" in answer.err, Path("ownership.yaml").exists()) == (FAULTS, True, False)
    assert sor("init", "nowhere").code == USAGE


def test_a_key_that_two_systems_use_must_say_which(tmp_path: Path) -> None:
    (tmp_path / "ownership.yaml").write_text(DOCUMENT, encoding="utf-8")
    for system, who in (("crm", "ann"), ("desk", "bo")):
        (tmp_path / system).mkdir()
        (tmp_path / system / "2026-03-01.csv").write_text(f"id,email,city\n7,{who}@x.example,Rome\n", encoding="utf-8")
    sor("run", "--json")
    said = ("override", "set", "contact", "7", "city", "Bern", "--reason", "moved", "--until", "verified")
    refused = sor(*said)
    assert (refused.code, "ambiguous-name" in refused.err) == (FAULTS, True)
    assert "<source>:<key>" in refused.err
    assert sor(*said[:3], "desk.users:7", *said[4:]).code == 0


def test_a_landing_that_cannot_be_used_ends_the_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is nobody's own fault: told once, not once per source, and the run is no success."""
    monkeypatch.setenv("SOR_LANDING", "nowhere://bucket/x")
    answer = shop.sor("run", "--json", "--as-of", "2026-03-03T01:00:00")
    assert (answer.code, [fault["code"] for fault in answer.data["faults"]]) == (USAGE, ["unusable-landing"])
    monkeypatch.delenv("SOR_LANDING")
    again = shop.sor("run", "--json", "--as-of", "2026-03-03T01:00:00")
    assert (again.code, again.data["state"], again.data["faults"]) == (0, "unchanged", [])


def test_an_argument_that_is_not_text(shop: Shop) -> None:
    answer = shop.sor("why", "contact", "\udcff")
    assert (answer.code, "argument-not-text" in answer.err) == (USAGE, True)


def test_a_warehouse_of_a_kind_that_there_is_not(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOR_WAREHOUSE_URL", "oracle://db/sor")
    answer = shop.sor("run", "--json")
    assert (answer.code, answer.data["faults"][0]["code"]) == (USAGE, "unknown-warehouse")


@pytest.mark.parametrize("number", ["0", "many", "-1", "1e9", "²"])
def test_a_number_of_processes_that_is_none(number: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOR_PROCESSES", number)
    answer = shop.sor("run", "--json")
    assert (answer.code, answer.data["faults"][0]["code"]) == (USAGE, "processes-invalid")


def test_marts_where_dbt_is_not_installed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sor_pipeline.observe.marts.build.installed", lambda **_: False)
    answer = shop.sor("marts", "--json")
    assert (answer.code, answer.data["faults"][0]["code"]) == (USAGE, "no-dbt")


# ------------------------------------------------------------------------------------- 3: blocked


def test_a_blocked_publication(shop: Shop) -> None:
    assert (shop.blocked.code, shop.blocked.data["state"], shop.blocked.data["publication"]) == (BLOCKED, "blocked", 0)
    told = " ".join(shop.blocked.data["faults"])
    assert "contact: email.required" in told
    assert "x.example" not in told


# ------------------------------------------------------------------------------------- 4: unavailable


def test_two_runs_at_the_same_time(shop: Shop) -> None:
    """The second says who the first is, and since when; nothing of that stays behind."""
    home = shop.folder / ".sor"
    with alone(Settings.read({}, ownership=shop.folder / "ownership.yaml", home=home)):
        answer = shop.sor("run")
    assert (answer.code, "run-in-progress" in answer.err) == (BUSY, True)
    assert re.search(rf"process {os.getpid()}, since 20\d\d-\d\d-\d\d ", answer.err)
    assert not (home / "run.holder").exists()
    with FileLock(home / "run.lock"):  # of an older release, or just starting
        assert "its run.lock is held" in shop.sor("run").err


def test_looking_while_a_run_works_says_so_at_once_and_gives_up_soon(shop: Shop) -> None:
    """The run is another process: within one, DuckDB lets everybody in."""
    home = shop.folder / ".sor"
    hold = "import sys, duckdb, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); " \
        "connection = duckdb.connect(sys.argv[2]); print('held', flush=True); sys.stdin.read()"  # fmt: skip
    words = [sys.executable, "-c", hold, str(home / "run.lock"), str(home / "warehouse.duckdb")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stdout.readline() == "held\n"
        began = time.monotonic()
        answer = shop.sor("status", "--json")
        took = time.monotonic() - began
        run.communicate("")
    assert (answer.code, answer.data["faults"][0]["code"]) == (BUSY, "run-in-progress")
    assert answer.err.startswith("a run is at work in this state folder; waiting")
    assert took < 15
    assert shop.sor("status").code == 0


def test_a_damaged_warehouse() -> None:
    Path("ownership.yaml").write_text(DOCUMENT, encoding="utf-8")
    Path(".sor").mkdir()
    Path(".sor/warehouse.duckdb").write_bytes(b"no database" * 1000)
    for command in ("status", "run"):
        answer = sor(command, "--json")
        assert (answer.code, answer.data["faults"][0]["code"]) == (UNAVAILABLE, "warehouse-damaged")
