"""The ownership document: which system is authoritative for each entity and field.

Belongs here: the document's models, its loading, linting and JSON Schema.
Does not: any database, any step of the flow.
"""
