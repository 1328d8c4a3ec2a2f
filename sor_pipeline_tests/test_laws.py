"""Laws of the whole flow: order of files, splits into batches, repeats, rebuilds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline_tests.flow_world import HEADERS, Site, World, worlds

LAW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def fresh(folder: str, name: str) -> Site:
    return Site(Path(folder) / name)


def day_by_day(site: Site, world: World) -> Site:
    for day in range(len(world.days)):
        site.deliver_day(world, day)
        site.run(day)
    return site


@LAW
@given(world=worlds())
def test_one_run_a_day_is_one_run_for_all_days(world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        daily = day_by_day(fresh(folder, "daily"), world)
        once = fresh(folder, "once")
        for day in range(len(world.days)):
            once.deliver_day(world, day)
        once.run(len(world.days) - 1)
        assert daily.told() == once.told()
        assert daily.corrections() == once.corrections()


@LAW
@given(world=worlds(), data=st.data())
def test_any_order_of_arrival_gives_the_same_tables(world: World, data: st.DataObject) -> None:
    deliveries = [(day, stream) for day in range(len(world.days)) for stream in HEADERS]
    shuffled = data.draw(st.permutations(deliveries))
    runs_after = data.draw(st.sets(st.integers(0, len(shuffled) - 1)))
    with tempfile.TemporaryDirectory() as folder:
        daily = day_by_day(fresh(folder, "daily"), world)
        late = fresh(folder, "late")
        for place, (day, stream) in enumerate(shuffled):
            late.deliver(world, day, stream)
            if place in runs_after:
                late.run(len(world.days) - 1)
        late.run(len(world.days) - 1)
        assert daily.told() == late.told()


@LAW
@given(world=worlds())
def test_a_repeated_run_changes_nothing(world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = day_by_day(fresh(folder, "site"), world)
        if not site.settings.conformed.exists():
            return
        before, stamp = site.everything(), site.settings.conformed.stat().st_mtime_ns
        assert site.run(len(world.days) - 1).state == "unchanged"
        assert site.everything() == before
        assert site.settings.conformed.stat().st_mtime_ns == stamp


@LAW
@given(world=worlds())
def test_a_rebuild_from_landing_gives_what_the_increments_gave(world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = day_by_day(fresh(folder, "site"), world)
        before = site.told()
        for file in site.settings.home.glob("*.duckdb*"):
            file.unlink()
        for file in site.settings.extracts.iterdir():
            file.unlink()
        site.run(len(world.days) - 1)
        assert site.told() == before
