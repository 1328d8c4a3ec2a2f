"""The registry brought in line with the landed files, which alone are never rebuilt.

Belongs here: files that were put and not registered (a kill in between), and registered ones that are gone. Does not:
what is delivered now.
"""

from __future__ import annotations

from sor_pipeline.errors import Fault
from sor_pipeline.extract.landing import batch_file, facts_of, landed, swept
from sor_pipeline.extract.registry import Registry
from sor_pipeline.stores import Store


def recovered(store: Store, registry: Registry, source: str) -> list[Fault]:
    """What was found to be other than registered."""
    swept(store.folder)
    present, faults = landed(store), []
    for batch, name in present.items():
        if batch in registry.batches:
            continue
        facts = facts_of(store.local(name))
        if facts is not None and facts.source == source:
            registry.register(facts)
        else:
            faults.append(_foreign(source, batch))
    for batch in registry.batches.keys() - present.keys():
        registry.forget(batch)
        faults.append(_gone(source, batch, store.place(batch_file(batch))))
    return faults


def _foreign(source: str, batch: str) -> Fault:
    return Fault(
        "foreign-file",
        f"{source}/{batch_file(batch)}",
        "a file in landing that was not landed by this source",
        expected="only what extract wrote",
        todo="move it away",
        warning=True,
    )


def _gone(source: str, batch: str, place: str) -> Fault:
    return Fault(
        "landing-missing",
        f"{source}/{batch}",
        "a landed file is gone",
        "no file",
        place,
        "restore it, or deliver its extract again: it will be landed anew",
    )
