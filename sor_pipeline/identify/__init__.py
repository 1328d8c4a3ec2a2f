"""Which records are the same entity: tokens, components over them, ids that last.

Reads: `staged.<source>`, `canonical.state` (were the rules others?), and its own tables.
Writes: `identity.<entity>`, `identity.<entity>__token`, `identity.id`, `identity.affected`.
Raises: nothing of its own.

Belongs here: matching rules and guards, clusters, the registry of ids, what a change touches.
Does not: what an entity's values are (`resolve`); people's links and unlinks are written by `steward`.
"""

from sor_pipeline.identify.step import run

__all__ = ["run"]
