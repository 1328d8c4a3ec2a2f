"""What was simulated: the rounds, and the cells that do not come to rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from sor_pipeline.run import Run
from sor_pipeline.simulate.models import Model
from sor_pipeline.simulate.play import SETTLED_BY, simulate
from sor_pipeline.terminal.paper import Paper


def play(run: Run, paper: Paper, rounds: int, models: Mapping[str, Model]) -> bool:
    """Plays and prints; whether everything came to rest."""
    played = simulate(run, rounds, models)
    told = [asdict(one) for one in played.rounds]
    restless = [asdict(one) for one in played.restless]
    paper.data({"rounds": told, "restless": restless})
    names = ", ".join(f"{system} {model}" for system, model in models.items())
    paper.table(
        "Corrections, played forward on a copy",
        [{**one, "round": one["number"]} for one in told],
        ("round", "told", "open", "changed", "broken", "state"),
        note=f"{names or 'Every system does as it is told'}. The state itself was only read.",
    )
    if restless:
        paper.table(
            f"What had not come to rest after {SETTLED_BY} rounds",
            restless,
            ("what", "entity", "field", "system", "rule", "cells", "example"),
        )
    else:
        paper.say(f"Everything came to rest within {SETTLED_BY} rounds.")
    return not restless
