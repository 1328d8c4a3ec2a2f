"""Where landed files lie: a folder, an object store, and what becomes of them on the way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from sor_pipeline import stores
from sor_pipeline.errors import EngineError, SettingsError, SourceStopped
from sor_pipeline.flow import opened, pass_through
from sor_pipeline.settings import Settings
from sor_pipeline.stage.step import run as stage
from sor_pipeline.stores import FolderStore, ObjectStore, store_of, trim
from sor_pipeline_tests.extract_world import SOURCE, World, codes, document

A, B = "id,email\n1,a@acme.example\n2,b@acme.example\n", "id,email\n1,c@acme.example\n2,b@acme.example\n"
BAD = "id,email\n" + "".join(f"{n},p{n}@acme.example\n" for n in range(300)) + "1,2,3\n"
_numbers = itertools.count()


@pytest.fixture
def bucket() -> str:
    return f"memory://bucket{next(_numbers)}/landing"


def made(tmp_path: Path, place: str) -> World:
    world = World.made(tmp_path, document(fields={"email": "email"}))
    settings = replace(world.run.settings, landing_place=place)
    return World(world.folder, replace(world.run, settings=settings))


def there(bucket: str) -> list[str]:
    store = fsspec.filesystem("memory")
    folder = f"{bucket.removeprefix('memory:/')}/{SOURCE}"
    return sorted(name.rpartition("/")[2] for name in store.ls(folder, detail=False)) if store.exists(folder) else []


def staged(world: World) -> list[tuple[Any, ...]]:
    stage(world.run, SOURCE)
    table = world.run.tables.staged[SOURCE]
    with world.run.engine.begin() as connection:
        rows = connection.execute(table.select()).fetchall()
    return sorted((row._mapping["_key"], row.email) for row in rows)


def emptied_cache(world: World) -> None:
    for path in (world.run.settings.home / "landing-cache").glob("*/*"):
        path.unlink()


def test_an_object_store_holds_the_landing(tmp_path: Path, bucket: str) -> None:
    world = made(tmp_path, bucket)
    world.put("contacts-2024-01-05.csv", A)
    world.put("contacts-2024-01-06.csv", BAD)
    assert world.land().counts["landed"] == 2
    batches = world.batches()
    names = [f"{batch['batch']}.parquet" for batch in batches]
    assert there(bucket) == sorted([*names, f"{batches[1]['batch']}.rejects.parquet"])
    assert not (tmp_path / "home" / "landing").exists()
    emptied_cache(world)
    assert len(staged(world)) == 300
    assert sorted(path.name for path in (tmp_path / "home" / "landing-cache" / SOURCE).iterdir()) == there(bucket)
    assert len([row for row in world.rows("reject") if row["reason"] == "ragged"]) == 1
    assert world.land().counts["repeated"] == 2


def test_the_same_tables_wherever_it_lies(tmp_path: Path, bucket: str) -> None:
    found = []
    for number, place in enumerate(("", str(tmp_path / "elsewhere"), f"file://{tmp_path}/by-url", bucket)):
        world = made(tmp_path / str(number), place)
        world.put("contacts-2024-01-05.csv", A)
        world.put("contacts-2024-01-06.csv", B)
        settings = world.run.settings
        world.run.engine.close()
        with opened(world.run.ownership, settings, world.run.now) as run:
            assert pass_through(run).state == "published"
            found.append((staged(World(world.folder, run)), World(world.folder, run).rows("account")))
    assert (tmp_path / "elsewhere" / SOURCE).is_dir()
    assert (tmp_path / "by-url" / SOURCE).is_dir()
    assert all(other == found[0] for other in found)


def test_a_lost_file_of_a_store(tmp_path: Path, bucket: str) -> None:
    world = made(tmp_path, bucket)
    world.put("contacts-2024-01-05.csv", A)
    world.land()
    name = there(bucket)[0]
    store = fsspec.filesystem("memory")
    path = f"{bucket.removeprefix('memory:/')}/{SOURCE}/{name}"
    store.rm(path)
    emptied_cache(world)
    with pytest.raises(SourceStopped) as stopped:
        stage(world.run, SOURCE)
    assert stopped.value.faults[0].code == "landing-lost"
    assert codes(world.land()) == ["landing-missing"]
    assert there(bucket) == [name]
    assert len(staged(world)) == 2


def test_an_altered_file_of_a_store(tmp_path: Path, bucket: str) -> None:
    world = made(tmp_path, bucket)
    world.put("contacts-2024-01-05.csv", A)
    world.land()
    store = fsspec.filesystem("memory")
    path = f"{bucket.removeprefix('memory:/')}/{SOURCE}/{there(bucket)[0]}"
    whole = store.cat_file(path)
    store.pipe_file(path, whole[:-20] + bytes(20))
    emptied_cache(world)
    with pytest.raises(SourceStopped) as stopped:
        stage(world.run, SOURCE)
    assert stopped.value.faults[0].code == "landing-altered"
    store.pipe_file(path, whole)
    assert len(staged(world)) == 2


def test_a_kill_between_upload_and_registry(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sor_pipeline.extract.registry import Registry

    world = made(tmp_path, bucket)
    world.put("contacts-2024-01-05.csv", BAD)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "register", killed)
        with pytest.raises(KeyboardInterrupt):
            world.land()
    emptied_cache(world)
    outcome = world.land()
    assert (outcome.counts["repeated"], codes(outcome)) == (1, [])
    assert (len(world.batches()), world.batches()[0]["bad_rows"]) == (1, 1)
    assert len(world.batches()[0]["checksum"]) == 64
    assert len(staged(world)) == 300


def test_a_store_that_fails_ends_the_run_without_secrets(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made(tmp_path, f"{bucket.replace('memory://', 'memory://me:geheim@')}")
    world.put("contacts-2024-01-05.csv", A)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("geheim")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.filesystem("memory").__class__, "put_file", broken)
        with pytest.raises(EngineError) as failed:
            world.land()
    assert failed.value.faults[0].code == "landing-unreachable"
    assert "geheim" not in str(failed.value)
    assert world.batches() == []
    assert world.land().counts["landed"] == 1


def test_what_arrives_short_is_not_landed(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(tmp_path, bucket)
    world.put("contacts-2024-01-05.csv", A)
    memory = fsspec.filesystem("memory").__class__
    with monkeypatch.context() as patch:
        patch.setattr(memory, "put_file", lambda self, path, target, **_: self.pipe_file(target, b"PAR1"))
        with pytest.raises(EngineError, match="bytes"):
            world.land()
    outcome = world.land()  # the torn object is none of ours, and is replaced
    assert (codes(outcome), outcome.counts["landed"]) == ([], 1)
    assert len(staged(world)) == 2


def test_unusable_places(tmp_path: Path) -> None:
    """Of the second the filesystem exists, and its package is not among ours."""
    for place in ("nix://bucket/x", "dropbox://key:geheim@bucket/x"):
        with pytest.raises(SettingsError) as unusable:
            store_of(Settings.read({"SOR_LANDING": place}, home=tmp_path), SOURCE)
        assert unusable.value.faults[0].code == "unusable-landing"
        assert "geheim" not in str(unusable.value)


def test_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read = Settings.read
    assert read({}, home=tmp_path / "h").landing == tmp_path / "h" / "landing"
    assert read({"SOR_LANDING": "land"}, home=tmp_path / "h").landing == tmp_path / "land"
    assert read({"SOR_LANDING": f"file://{tmp_path}/x"}, home=tmp_path / "h").landing == tmp_path / "x"
    remote = read({"SOR_LANDING": "s3://bucket/x"}, home=tmp_path / "h")
    assert (remote.landing, remote.landing_url) == (tmp_path / "h" / "landing-cache", "s3://bucket/x")
    assert remote.landing in remote.readable
    assert isinstance(store_of(read({}, home=tmp_path), SOURCE), FolderStore)


def test_the_cache_is_bounded(tmp_path: Path, bucket: str) -> None:
    world = made(tmp_path, bucket)
    for day in range(1, 4):
        world.put(f"contacts-2024-01-0{day}.csv", A)
        world.land()
    store = store_of(world.run.settings, SOURCE)
    assert isinstance(store, ObjectStore)
    sizes = [path.stat().st_size for path in store.folder.glob("*.parquet")]
    trim(store, sum(sizes) - 1)
    assert len(list(store.folder.glob("*.parquet"))) == 2
    trim(store, 0)
    assert list(store.folder.glob("*.parquet")) == []
    assert len(staged(world)) == 2
    local = FolderStore(tmp_path / "mine")
    local.folder.mkdir()
    (local.folder / "x.parquet").write_bytes(b"x")
    trim(local, 0)
    assert local.names() == {"x.parquet"}


def test_shown_places_hold_no_secret() -> None:
    assert stores._shown("s3://key:secret@bucket/a/b?token=secret") == "s3://bucket/a/b"
