"""Every table, its grain, keys, columns and comments: the only place where names meet SQL.

Belongs here: table and column names, types, comments, derived from the ownership document; a file
per schema. Does not: selects (the step that makes a table), DDL execution (`engine`).

Schemas: `landing` (what was delivered), `staged` (current records), `identity` (what is the
same), `canonical` (candidates with lineage), `audit` (runs, accounts, findings), `steward`
(people's words), `outbound` (corrections), `conformed` (published).

Columns that are ours start with `_` or hold `__`; names of the document never do, so the two
cannot collide. Times are UTC without zone. `_publication` is the number of the publication in
which a row's last change appears for the first time; while it is not yet published, the row is
*pending*, whichever run wrote it. That is how a run that was killed or blocked is taken up again.
"""

from __future__ import annotations

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.tables.audited import Audited
from sor_pipeline.tables.cells import (
    NO_FIELD,
    Cell,
    Claim,
    ClaimState,
    cell,
    claim,
    link_column,
    staged_name,
)
from sor_pipeline.tables.columns import grain, stored_type
from sor_pipeline.tables.delivered import Delivered
from sor_pipeline.tables.identified import Identified
from sor_pipeline.tables.landed import ACCOUNT, Landed
from sor_pipeline.tables.measured import Measured
from sor_pipeline.tables.published import Published
from sor_pipeline.tables.resolved import Resolved
from sor_pipeline.tables.sent import Sent
from sor_pipeline.tables.stewarded import Stewarded

__all__ = [
    "ACCOUNT", "MARTS", "MARTS_BUILDING", "NO_FIELD", "SCHEMAS", "VERSION", "Cell", "Claim", "ClaimState", "Tables",
    "cell", "claim", "grain", "link_column", "staged_name", "stored_type",
]  # fmt: skip

VERSION = 2
"""The version of the state that this release reads and writes; `migrate` makes it of every older one."""
SCHEMAS = ("landing", "staged", "identity", "canonical", "audit", "steward", "outbound", "conformed")
MARTS, MARTS_BUILDING = "marts", "marts_building"
"""Schemas on a server whose tables are not these but dbt's; the second for the length of a build."""


class Tables(Landed, Identified, Resolved, Audited, Stewarded, Sent, Delivered, Published, Measured):
    """All tables of one ownership document, as SQLAlchemy `Table`s in one `MetaData`.

    Per source: `staged[source]`. Per entity: `identity`, `token`, `block`, `pair`, `refused`, `canonical`, and
    the published `conformed`, `sources`, `keys`, `alias`, `history`. The rest is one table each.
    """

    def __init__(self, ownership: Ownership) -> None:
        super().__init__(ownership)
        self._of_deliveries()
        self._of_identity()
        self._of_resolve()
        self._of_audit()
        self._of_stewards()
        self._of_corrections()
        self._of_sending()
        self._of_publications()
        self._of_measures()
        entities = ownership.entities
        self.staged = {name: self._staged(name) for name in ownership.sources}
        self.identity = {name: self._identity(name) for name in entities}
        self.token = {name: self._token(name) for name in entities}
        self.block = {name: self._block(name) for name in entities}
        self.distrusted = {name: self._distrusted(name) for name in entities}
        self.pair = {name: self._pair(name) for name in entities}
        self.refused = {name: self._refused(name) for name in entities}
        self.canonical = {name: self._canonical(name) for name in entities}
        self.conformed = {name: self._conformed(name) for name in entities}
        self.sources = {name: self._sources(name) for name in entities}
        self.keys = {name: self._keys(name) for name in entities}
        self.alias = {name: self._alias(name) for name in entities}
        self.history = {name: self._history(name) for name in entities}
