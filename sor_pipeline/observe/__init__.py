"""The step that answers: what ran, what changed, what disagrees, who must act.

Reads: everything. Writes: `audit.run`.

Belongs here: the record of runs and the selects behind `sor status`, `sor conflicts`, `sor why`, `sor why-linked`,
`sor review`, `sor decisions`.
Does not: printing (`cli`), metadata for the Dagster UI (`defs`).
"""
