"""Which records are the same entity: tokens and pairs, components over them, ids that last.

Reads: `staged.<source>`, `steward.decision`, `identity.model`, and its own tables.
Writes: `identity.<entity>`, `identity.<entity>__token`, `__distrusted`, `__block`, `__pair`, `__refused`,
`identity.id`, `identity.move`, `identity.state`, `identity.affected`, `steward.case`.
Raises: nothing of its own.

Belongs here: matching rules and guards (`hollow`, `guards`, `strangers`), clusters and what keeps them small
(`edges`, `clusters`, `cuts`), what a change reaches (`reach`), the registry of ids and its moves.
Does not: what an entity's values are (`resolve`); people's links and unlinks are written by `steward`.
"""

from sor_pipeline.identify.step import run

__all__ = ["run"]
