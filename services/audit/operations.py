"""Operations of the audit service: ids for generated clients, and the roles that may call each."""

from collections.abc import Mapping
from typing import Final

from services.kernel.decider.operation import Operation

OPERATIONS: Final[Mapping[str, Operation]] = {
    "read_trail": Operation("readTrail", ("auditor",)),
    "read_looks": Operation("listLooks", ("guardian", "young_person")),
    "search": Operation("searchTrail", ("auditor",)),
    "read_figures": Operation("readTrailFigures", ("auditor", "operator")),
    "read_events": Operation("listAuditEvents", ("operator",)),
}
