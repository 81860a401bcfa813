"""Who may do what in the directory."""

import pytest

from services.directory.domain.access import authorize
from services.directory.domain.commands import AdoptModel, ChangeCapacity, RestoreAccess, RevokeAccess
from services.directory.domain.states import State
from services.kernel.decider.decision import Actor, ReadRequest
from tests.examples_directory import (
    MUNICIPALITY,
    ORGANISATION,
    OTHER_ORGANISATION,
    PERSON,
    a_municipality,
    an_actor,
    an_offer,
    an_organisation,
    context,
    joining,
    leaving,
    publishing,
    registering,
    restoring,
    revoking,
)

OWN = an_actor("coordinator", ORGANISATION)
OTHERS = an_actor("coordinator", OTHER_ORGANISATION)
ADMINISTRATOR = an_actor("administrator")
CASEWORKER = an_actor("caseworker")


@pytest.mark.parametrize(
    ("actor", "state", "command", "allowed"),
    [
        (ADMINISTRATOR, None, AdoptModel("kerteminde", 1), True),
        (ADMINISTRATOR, a_municipality(), registering(), True),
        (ADMINISTRATOR, a_municipality(), revoking(), True),
        (ADMINISTRATOR, None, RevokeAccess(None, "0" * 64), True),
        (ADMINISTRATOR, None, RevokeAccess(PERSON), False),
        (ADMINISTRATOR, None, RestoreAccess(PERSON), False),
        (an_actor("operator"), None, restoring(), True),
        (CASEWORKER, None, revoking(), False),
        (OWN, None, restoring(), False),
        (ADMINISTRATOR, None, joining(), True),
        (ADMINISTRATOR, an_organisation(), leaving(), True),
        (ADMINISTRATOR, None, publishing(), False),
        (ADMINISTRATOR, an_offer(), ChangeCapacity(MUNICIPALITY, 1), False),
        (OWN, an_organisation(), leaving(), True),
        (OWN, None, publishing(), True),
        (OWN, an_offer(), ChangeCapacity(MUNICIPALITY, 1), True),
        (OWN, None, joining(), False),
        (OWN, None, AdoptModel("kerteminde", 1), False),
        (OTHERS, an_organisation(), leaving(), False),
        (OTHERS, None, publishing(), False),
        (OTHERS, an_offer(), ChangeCapacity(MUNICIPALITY, 1), False),
        (an_actor("coordinator"), an_offer(), ChangeCapacity(MUNICIPALITY, 1), False),
        (OWN, None, ChangeCapacity(MUNICIPALITY, 1), False),
        (CASEWORKER, None, AdoptModel("kerteminde", 1), False),
        (CASEWORKER, None, registering(), False),
        (CASEWORKER, an_organisation(), leaving(), False),
        (CASEWORKER, an_offer(), ReadRequest(("status",)), True),
        (an_actor("guardian"), a_municipality(), ReadRequest(("model",)), True),
        (an_actor("caseworker", tenant="0461"), an_offer(), ReadRequest(("status",)), False),
        (ADMINISTRATOR, None, object(), False),
    ],
)
def test_who_may_do_what(actor: Actor, state: State | None, command: object, *, allowed: bool) -> None:
    """Administrators admit, an association's own coordinator offers, everybody in the municipality reads."""
    assert authorize(state, command, context(ORGANISATION, actor=actor)) is allowed
