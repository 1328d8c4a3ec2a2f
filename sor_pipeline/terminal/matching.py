"""The answers of `sor match train` and `sor match score`.

Belongs here: tables and sentences. Does not: learning or measuring (`identify.similar`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.identify import scores
from sor_pipeline.identify.scores import Scores
from sor_pipeline.identify.similar.model import Trained, train
from sor_pipeline.run import Run
from sor_pipeline.terminal.linkwords import counted
from sor_pipeline.terminal.paper import Paper

_BAR = 12
"""Characters of the longest bar."""


def learn(run: Run, entity: str) -> Trained:
    """Train one entity's model, telling that it is being done."""
    run.progress(f"match train {entity}")
    trained = train(run, entity)
    assert trained is not None  # the command asks for entities with a `similar` rule only
    return trained


def tell_trained(trained: list[Trained], paper: Paper) -> None:
    """What was learned from, what agreement is worth, what happens next."""
    paper.data([asdict(one) for one in trained])
    for one in trained:
        paper.prose(
            f"{one.entity}: learned from {counted(one.records, 'record')} and {counted(one.pairs, 'candidate pair')}, "
            f"of which {one.matches:,} seem to be the same; "
            + (
                f"{counted(one.labels, 'decision')} taken as label{'' if one.labels == 1 else 's'}."
                if one.labels
                else "nobody had to label any."
            )
        )
        paper.table(
            f"What agreement is worth ({one.entity})", list(_weights(one)), ("field", "agreement", "weight", " ")
        )
        paper.say(f"Model {one.fingerprint} is in force.")
        if one.few:
            paper.prose(
                "So few records teach little: the model mostly keeps to what is usual. Train again with more.",
                "[!] ", "    ",
            )  # fmt: skip
    if trained:
        paper.prose("weight: log2 of how much likelier two of the same agree so than any two; weights add up.")
        paper.prose(
            "Next: sor run compares all records with it. Where that changes many ids, nothing is published before "
            "somebody accepts the change by the name that it is given; then sor review."
        )


def _weights(one: Trained) -> list[dict[str, Any]]:
    most = max((abs(weight) for levels in one.weights.values() for weight in levels.values()), default=0) or 1
    rows = []
    for name, levels in one.weights.items():
        for number, (label, weight) in enumerate(levels.items()):
            bar = ("+" if weight > 0 else "-") * round(abs(weight) / most * _BAR)
            field = name.replace("_", " ") if number == 0 else ""
            rows.append({"field": field, "agreement": label, "weight": f"{weight:+.1f}".rjust(6), " ": bar})
    return rows


def measured(run: Run, truth: Path, entity: str | None) -> list[Scores]:
    """One score per entity about whose records the truth says something.

    Raises SettingsError where the truth cannot be read, or names none of the records.
    """
    told = scores.read_truth(truth)
    found = []
    with run.engine.begin() as connection:
        for name in (entity,) if entity else run.ownership.entities:
            sources = list(run.ownership.sources_of(name))
            mine = told.filter(pc.is_in(told.column("source"), pa.array(sources, pa.string())))
            if mine.num_rows:
                found.append(scores.measure(run, connection, name, mine))
    if not any(one.records for one in found):
        raise SettingsError(
            Fault("truth-of-others", str(truth), "the truth names no record that lives here", f"{told.num_rows} rows",
                  "sources of the document and keys of live records", "write source and key as sor why shows them")
        )  # fmt: skip
    return found


def tell_scores(found: Sequence[Scores], paper: Paper) -> None:
    """How right the pairs are, how many there are of those that should be, and how whole the clusters are."""
    shares = ("precision", "recall", "f1")
    paper.data([asdict(one) | {name: getattr(one, name) for name in shares} for one in found])
    rows = [
        {"entity": one.entity, "precision": f"{one.precision:.4f}", "recall": f"{one.recall:.4f}",
         "F1": f"{one.f1:.4f}", "clusters": one.clusters, "exact": one.exact, "over-merged": one.over_merged}
        for one in found
    ]  # fmt: skip
    paper.table("Matching against the truth", rows)
    for one in found:
        paper.prose(
            f"{one.entity}: {one.found:,} pairs found, {one.right:,} of them right, {one.true:,} by the truth, among "
            f"{counted(one.records, 'record')}."
        )
        if one.unknown:
            paper.prose(f"Not here, or deleted, and counted nowhere: {counted(one.unknown, 'record')} of the truth.")
    paper.prose(
        "exact: clusters of the truth found with just their records. over-merged: clusters found that hold records of "
        "two of the truth."
    )
