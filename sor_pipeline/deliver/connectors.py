"""From a system's target to the connectors of its sources.

Belongs here: which kind is which connector, and what has to be there before anything is sent.
Does not: sending. The extra `deliver` is imported here, and only for a tool that is asked over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from sor_pipeline.deliver.connector import Connector, Denied
from sor_pipeline.deliver.files import Files
from sor_pipeline.deliver.secrets import Secret, secret_named
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.ownership.target import Kind, SourceTarget, Target
from sor_pipeline.run import Run

if TYPE_CHECKING:
    from sor_pipeline.deliver.http import Client, Pace

Connect: TypeAlias = Callable[[str], Connector]
"""A source's connector by the source's name."""
INBOX = "sor_correction"
"""The table's name where the source does not name one."""


@contextmanager
def connected(run: Run, system: str, target: Target, publication: int, pace: Pace | None = None) -> Iterator[Connect]:
    """The connectors of a system's sources while its client is open.

    Raises Denied where the secret is not set, Misdirected for a place that may not be asked, SettingsError where
    the extra is not installed.
    """
    secret = secret_named(target.secret)
    if secret is None and target.kind is not Kind.files:
        raise Denied("missing")
    if target.kind is Kind.files:
        yield lambda source: Files(run.settings.outbox / system, source, publication)
    elif target.kind is Kind.table:
        yield _inboxes(run, secret)
    else:
        with _client(target, secret, pace) as client:
            yield lambda source: _spoken(client, target, _place(run, source))


def _inboxes(run: Run, secret: Secret | None) -> Connect:
    from sor_pipeline.deliver.table import Inbox

    def connect(source: str) -> Connector:
        place = run.ownership.sources[source].target
        if secret is None:
            raise Denied("missing")
        return Inbox(secret, place.object if place else INBOX, run.now)

    return connect


def _client(target: Target, secret: Secret | None, pace: Pace | None) -> Client:
    try:
        from sor_pipeline.deliver.http import Client
    except ImportError as error:
        raise SettingsError(
            Fault("extra-missing", "", "delivering over HTTP needs the extra `deliver`", f"no {error.name}",
                  "httpx and tenacity", "pip install 'sor-pipeline[deliver]'")
        ) from error  # fmt: skip
    return Client(target, secret, pace)


def _place(run: Run, source: str) -> SourceTarget:
    place = run.ownership.sources[source].target
    if place is None:
        raise Denied("no-object")
    return place


def _spoken(client: Client, target: Target, place: SourceTarget) -> Connector:
    from sor_pipeline.deliver.hubspot import HubSpot
    from sor_pipeline.deliver.rest import Rest
    from sor_pipeline.deliver.salesforce import Salesforce
    from sor_pipeline.deliver.stripe import Stripe
    from sor_pipeline.deliver.zendesk import Zendesk
    from sor_pipeline.ownership.target import RestTarget

    match target.kind:
        case Kind.hubspot:
            return HubSpot(client, place)
        case Kind.salesforce:
            return Salesforce(client, place, target.version)
        case Kind.zendesk:
            return Zendesk(client, place)
        case Kind.stripe:
            return Stripe(client, place, target.version)
        case _:
            return Rest(client, place, target.rest or RestTarget(path="/"))
