"""Where it runs: the warehouse behind one small protocol.

Belongs here: connections, loading, exporting, and what differs between databases.
Does not: ownership, rules, table names.
"""
