"""The list of all services; imported by the command line and by the tools that need it."""

from dataclasses import replace
from typing import Final

from contracts.event import SERVICES
from services.agreement.app import SERVICE as AGREEMENT
from services.audit.app import SERVICE as AUDIT
from services.consent.app import SERVICE as CONSENT
from services.directory.app import SERVICE as DIRECTORY
from services.evaluation.app import SERVICE as EVALUATION
from services.kernel.decider.service import Service
from services.kernel.operations.operator_api import operable
from services.notify.app import SERVICE as NOTIFY
from services.portal.app import SERVICE as PORTAL
from services.referral.app import SERVICE as REFERRAL

_APPS: Final = (DIRECTORY, REFERRAL, CONSENT, AGREEMENT, EVALUATION, NOTIFY, AUDIT, PORTAL)


def _hearers(name: str) -> frozenset[str]:
    """Return the names of the services that subscribe to one service."""
    return frozenset(other.name for other in _APPS if other.subscribes_to_all or name in other.sources)


SERVICES_BY_NAME: Final[dict[str, Service]] = {
    service.name: operable(replace(service, subscribers=_hearers(service.name))) for service in _APPS
}
ALL: Final = tuple(SERVICES_BY_NAME[name] for name in SERVICES)
