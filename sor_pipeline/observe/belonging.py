"""Whose state a folder holds: two documents in one folder would make one mixture of both.

Belongs here: what a folder knows of the document that ran in it, and the refusal of another.
Does not: edits of a document, which are what documents are for.

Another document is one of which no source ever delivered here, and that either bears another title or
names no entity that is known here. So a title may change, all entities, and all sources: not everything at once.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.run import Run

_NAMED = 5


def tables_of(run: Run) -> sa.MetaData:
    """The tables that tell, which are the same under every document."""
    metadata = sa.MetaData()
    for table in (run.tables.document, run.tables.batch, run.tables.id):
        table.to_metadata(metadata)
    return metadata


def refuse_another(run: Run) -> None:
    """Raises SettingsError (`wrong-state`) where the folder's state is another document's."""
    batch, known, document = run.tables.batch, run.tables.id, run.tables.document
    with run.engine.begin() as connection:
        sources = set(connection.execute(sa.select(batch.c.source).distinct()).scalars())
        entities = set(connection.execute(sa.select(known.c.entity).distinct()).scalars())
        titles = list(connection.execute(sa.select(document.c.title)).scalars())
    if not sources or not titles or sources & set(run.ownership.sources):
        return
    same_title = titles[0] == run.ownership.title
    if same_title and (run.ownership.title or entities & set(run.ownership.entities)):
        return
    home = run.settings.home
    holds = f"`{titles[0]}`, with " if titles[0] else ""
    raise SettingsError(
        Fault("wrong-state", str(home), "the state folder belongs to another ownership document",
              f"{holds}{_some('entities', entities)} and {_some('sources', sources)}",
              f"a state folder of {run.settings.ownership}, or one that does not exist yet",
              "name another folder with --home or SOR_HOME, or the document that belongs to this one")
    )  # fmt: skip


def refuse_any_other(run: Run) -> None:
    """Raises SettingsError (`wrong-state`) where what is there is not a state of a document of this very title."""
    document = run.tables.document
    try:
        with run.engine.begin() as connection:
            titles = list(connection.execute(sa.select(document.c.title)).scalars())
    except sa.exc.ProgrammingError:
        titles = []
    if titles != [run.ownership.title]:
        raise SettingsError(
            Fault("wrong-state", "SOR_WAREHOUSE_URL", "the database holds something else, which would be dropped",
                  f"`{titles[0]}`" if titles else "schemas of ours without a document",
                  f"nothing, or the state of `{run.ownership.title}`", "name another database")
        )  # fmt: skip


def note(run: Run) -> None:
    """Keep whose folder this is."""
    table, title = run.tables.document, run.ownership.title
    with run.engine.begin() as connection:
        if list(connection.execute(sa.select(table.c.title)).scalars()) != [title]:
            connection.execute(sa.delete(table))
            connection.execute(sa.insert(table).values(title=title))


def _some(noun: str, names: set[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{noun} {', '.join(sorted(names)[:_NAMED]) or 'none'}{more}"
