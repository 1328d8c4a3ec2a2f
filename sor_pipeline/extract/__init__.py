"""extract: what was delivered becomes immutable Parquet in `landing`, every cell exactly as received.

Reads: files below `settings.extracts`, tables and queries of databases; `landing.batch`, `landing.delivery`,
`landing.refusal`.
Writes: `landing/<source>/<batch>.parquet` (`_row`, then every delivered column as text) and
`<batch>.rejects.parquet` (`_row`, `raw`, `reason`); `landing.batch`, `landing.delivery`, `landing.refusal`.
Raises: nothing on purpose. A delivery that cannot be landed is a refusal: a Fault in the Outcome and a row in
`landing.refusal`, while the others of its source still land.

Belongs here: finding deliveries, reading them, recognising repeats. Does not: types, keys' meaning, mapping
(`stage`); no text is ever trimmed, converted or guessed at.
"""

from sor_pipeline.extract.step import run

__all__ = ["run"]
