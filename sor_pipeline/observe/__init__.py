"""The step that answers: what ran, what changed, what disagrees, who must act.

Reads: everything. Writes: `audit.run`.

Belongs here: the record of runs and the selects behind `sor status`, `sor conflicts`, `sor why`.
Does not: printing (`cli`), metadata for the Dagster UI (`defs`).
"""
