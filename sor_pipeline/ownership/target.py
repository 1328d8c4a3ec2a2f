"""Where corrections are delivered to: a system's tool, and how a source's records are addressed in it.

Belongs here: the words of the document. Does not: sending (`deliver`), finding faults (`lint.targets`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field as Attr
from pydantic import StringConstraints

from sor_pipeline.ownership.base import Name, Noun

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
"""The name of an environment variable; never its value."""
Thing = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=120)]
"""A kind of record in a tool, or a property of it, as the tool's own interface spells it."""


class Kind(StrEnum):
    """The interface that a tool speaks."""

    hubspot = "hubspot"
    salesforce = "salesforce"
    zendesk = "zendesk"
    stripe = "stripe"
    rest = "rest"
    files = "files"
    table = "table"

    @property
    def http(self) -> bool:
        """Whether delivering means requests over the network to a tool's own interface."""
        return self not in (Kind.files, Kind.table)


REVERTS = 2
"""How often a target may undo a cell before it is no longer written, unless the document says otherwise."""
BASES = {Kind.hubspot: "https://api.hubapi.com", Kind.stripe: "https://api.stripe.com"}
"""Tools that have one address for everybody."""


class RestTarget(Noun):
    """The requests of a tool of which this package knows nothing.

    In paths and templates `{id}` is the record's key, `{object}` the kind of record; in templates `{fields}` is
    the mapping of properties to wanted values, `{key}` the idempotency key, `{records}` the list of `row`s.
    A template is a mapping whose texts are replaced whole: nothing is ever pasted into JSON.
    """

    method: Literal["PATCH", "PUT", "POST"] = Attr("PATCH", description="of the request that writes")
    path: str = Attr(description="path of the request that writes, below `url`, e.g. `/people/{id}`")
    body: dict[str, Any] | Literal["{fields}"] = Attr("{fields}", description="template of the body")
    row: dict[str, Any] | None = Attr(None, description="with `batch`: template of one record, put into `{records}`")
    batch: int = Attr(1, ge=1, le=1000, description="records per request")
    form: bool = Attr(False, description="send the body as a form instead of JSON")
    statuses: tuple[int, ...] = Attr((200, 201, 204), description="HTTP codes that mean that it was done")
    success: dict[str, Any] = Attr(
        default_factory=dict, description="dotted path in the answer (with `results`: in its item): what it must hold"
    )
    results: str | None = Attr(None, description="with `batch`: dotted path to the list with one item per record")
    result_id: str = Attr("id", description="dotted path in such an item to the record's key")
    error_code: str = Attr("error.code", description="dotted path to the tool's own code of a refusal")
    read: str | None = Attr(None, description="path that reads one record back, e.g. `/people/{id}`; GET")
    values: str = Attr("", description="dotted path in what is read to the mapping of properties; blank: all of it")
    etag: bool = Attr(False, description="send the ETag of reading as If-Match: the tool itself refuses a stale write")
    idempotency_header: str | None = Attr("Idempotency-Key", description="header with the idempotency key")


class Target(Noun):
    """A tool that corrections are delivered to. Until `live`, nothing is sent: the plan is written down."""

    kind: Kind = Attr(description="the interface that it speaks")
    live: bool = Attr(False, description="send; until then every delivery is a dry run")
    url: str | None = Attr(None, description="where it answers; `${NAME}` is taken from the environment")
    hosts: tuple[str, ...] = Attr((), description="hosts that may be asked; default: the host of `url`")
    insecure: bool = Attr(False, description="allow `http://`: what is sent can be read by others; for tests")
    secret: Variable | None = Attr(
        None, description="environment variable with the token; for `table` with the database's URL"
    )
    auth: Literal["bearer", "basic", "header"] = Attr(
        "bearer", description="how the secret is shown: as a bearer token, as `user:password`, or in `header`"
    )
    header: str | None = Attr(None, description="with `auth: header`: the header's name, e.g. `X-Api-Key`")
    version: str | None = Attr(None, description="of the tool's interface, e.g. `v61.0` for Salesforce")
    timeout: float = Attr(30, gt=0, le=600, description="seconds that an answer is waited for")
    per_second: float | None = Attr(None, gt=0, description="requests per second at most; default: by kind")
    max_rows: int = Attr(500, ge=0, description="records that one delivery may change without being accepted by name")
    max_share: float = Attr(
        0.1, ge=0, le=1, description="the same as a share of a source's live records; ten records are always free"
    )
    reverts: int = Attr(REVERTS, ge=1, description="how often a cell may revert before it is no longer written")
    spreadsheet_safe: bool = Attr(
        False, description="files: an apostrophe before CSV cells that a spreadsheet would take for a formula"
    )
    rest: RestTarget | None = Attr(None, description="kind `rest`: the requests")

    @property
    def base(self) -> str | None:
        """Its address, where the document names it or all users have the same."""
        return self.url or BASES.get(self.kind)


class SourceTarget(Noun):
    """How the records of a source are addressed in its system's tool."""

    object: Thing = Attr(description="the tool's kind of record: `contacts`, `Contact`, `users`; or the table's name")
    id: Thing | None = Attr(
        None, description="property whose value is the source's key; default: the key is the tool's own id"
    )
    fields: dict[Name, Thing] = Attr(
        default_factory=dict,
        description="field: the tool's own name of the property, where it is not the column of the extract",
    )
    upsert: bool = Attr(
        False, description="hubspot, salesforce: write by `id` with the tool's upsert instead of by its own id"
    )
