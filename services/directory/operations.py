"""Operations of the directory service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

_EVERYBODY: Final = (
    "administrator",
    "auditor",
    "bridge_builder",
    "caseworker",
    "coordinator",
    "guardian",
    "leader",
    "operator",
    "young_person",
)

OPERATIONS: Final[Mapping[str, Operation]] = {
    "adopt_model": Operation("adoptModel", ("administrator",)),
    "read_model": Operation("readModel", _EVERYBODY),
    "revoke_access": Operation("revokeAccess", ("administrator", "operator")),
    "restore_access": Operation("restoreAccess", ("administrator", "operator")),
    "read_accesses": Operation("listRevokedAccess", ("administrator", "operator")),
    "register_department": Operation("registerDepartment", ("administrator",)),
    "read_departments": Operation("listDepartments", _EVERYBODY),
    "join": Operation("admitOrganisation", ("administrator",), location="/directory/organisations/{id}"),
    "read_organisations": Operation("listOrganisations", _EVERYBODY),
    "read_organisation": Operation("readOrganisation", _EVERYBODY),
    "leave": Operation("removeOrganisation", ("administrator", "coordinator")),
    "publish_offer": Operation("publishOffer", ("coordinator",), location="/directory/offers/{id}"),
    "change_capacity": Operation("changeCapacity", ("coordinator",), if_match=True),
    "read_offers": Operation("listOffers", _EVERYBODY),
    "read_offer": Operation("readOffer", _EVERYBODY),
    "read_accounts": Operation("listAccounts", ("administrator",)),
    "read_names": Operation("readNames", _EVERYBODY),
    "read_account": Operation("readAccount", (*_EVERYBODY, "portal")),
    "read_contact": Operation("readEmployeeContact", _EVERYBODY),
    "record_details": Operation("recordDetails", _EVERYBODY, if_match=True),
    "give_membership": Operation("giveMembership", ("administrator",), if_match=True),
    "renew_membership": Operation("renewMembership", ("administrator",), if_match=True),
    "end_membership": Operation("endMembership", ("administrator",)),
    "hand_over": Operation("handOverMembership", ("administrator",), if_match=True),
    "register_machine": Operation("registerMachine", ("administrator",)),
    "make_invitation": Operation("makeInvitation", ("administrator", "caseworker")),
    "read_invitations": Operation("listInvitations", ("administrator", "caseworker")),
    "revoke_invitation": Operation("revokeInvitation", ("administrator", "caseworker")),
    "bind_person": Operation("bindPerson", ("caseworker",)),
    "release_person": Operation("releasePerson", ("caseworker",)),
    "sign_in": Operation("signIn", ("portal",)),
    "use_invitation": Operation("useInvitation", ("portal",)),
    "add_identity": Operation("addIdentity", ("portal",)),
    "verify_machine": Operation("verifyMachine", ("portal",)),
}
