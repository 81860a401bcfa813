"""Words that several pages share: what the roles are called."""

from typing import Final

from services.portal.texts import _

ROLE_NAMES: Final = {
    "caseworker": _("Caseworker"),
    "coordinator": _("Coordinator"),
    "guardian": _("Parent"),
    "young_person": _("Young person"),
    "leader": _("Leader"),
    "auditor": _("Auditor"),
    "administrator": _("Administrator"),
    "bridge_builder": _("Bridge builder"),
    "operator": _("Operator"),
}
