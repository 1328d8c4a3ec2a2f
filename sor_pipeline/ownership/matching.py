"""Which records are the same entity: the words of the matching rules.

Belongs here: rules that name fields and sources. The similarity rule is a later noun of this file.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag
from pydantic import Field as Attr

from sor_pipeline.ownership.base import Name, Noun


class Same(Noun):
    """Records whose comparable forms of all these fields are equal are one entity."""

    same: tuple[Name, ...] = Attr(min_length=1)
    max_records: int = Attr(20, ge=2, description="a value shared by more records than this links nobody")


class Linked(Noun):
    """One system stores another's key: `{zendesk.users.external_id: hubspot.contacts}`."""

    linked: dict[str, str] = Attr(min_length=1, description="source.column: source whose key it holds")


def _branch(rule: Any) -> str | None:
    """Which rule is meant, so that a fault in it is told once, of that rule."""
    if isinstance(rule, (Same, Linked)):
        return "[same]" if isinstance(rule, Same) else "[linked]"
    if not isinstance(rule, dict):
        return None
    return "[linked]" if "linked" in rule else "[same]"


Match = Annotated[Annotated[Same, Tag("[same]")] | Annotated[Linked, Tag("[linked]")], Discriminator(_branch)]
