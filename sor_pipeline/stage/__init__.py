"""Stage: landed text becomes typed, standardised records with four-state claims.

Belongs here: everything between `landing` and `staged`. Does not: which record is whom (`identify`),
whose word counts (`resolve`).
"""

from sor_pipeline.stage.step import run

__all__ = ["run"]
