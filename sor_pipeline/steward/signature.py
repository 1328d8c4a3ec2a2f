"""Who says so, and why: without both nothing is written down.

Belongs here: what every person's word needs. Does not: any word.
"""

from __future__ import annotations

from sor_pipeline.errors import DecisionRefused, Fault


def signed(by: str, reason: str) -> None:
    """Raises DecisionRefused where `by` or `reason` is blank."""
    for name, text in (("by", by), ("reason", reason)):
        if not text.strip():
            raise DecisionRefused(
                Fault("unsigned-decision", "", f"a decision says who took it and why; --{name} is blank",
                      "a blank", "some words", f"say it with --{name}")
            )  # fmt: skip
