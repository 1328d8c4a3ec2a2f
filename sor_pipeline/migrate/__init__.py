"""Bringing a state that an older release left behind to what this one reads and writes.

Belongs here: a state's version, and the numbered list of migrations. Does not: tables and columns that are only
new or gone (`engine.create` follows the document and the release by itself); a migration is written where rows
must be rewritten.

Reads: the catalogue, audit.version
Writes: audit.version; what a migration says in its words
Raises: SettingsError for a state of a newer release, or, for looking, of an older one
"""
