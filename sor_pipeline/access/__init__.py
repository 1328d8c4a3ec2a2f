"""Who may read and write what on a server: least-privilege roles, given by name and checked against the catalogue.

Belongs here: the roles, which columns hold what, masked views, and the way from what is wanted to what is there.
Does not: how a statement is spelled (`engine.rights_quoting`), nor the guard inside a publication
(`engine.postgres_access`).

Reads: the server's catalogue; dbt's manifest, for what it says of the marts' columns
Writes: roles, rights, owners, the schemas `<schema>_masked` and their views; no row of any table
Raises: SettingsError where the warehouse has no roles
"""
