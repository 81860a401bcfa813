"""What the routes of the directory share: the request, its bodies, and names of fields."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from services.directory.domain.states import Position
from services.kernel.http.fields import GivenId
from services.kernel.http.requests import RequestContext, request_context

DirectoryRequest = Annotated[RequestContext, Depends(request_context("directory"))]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9a-f]{32}$", description="the page before's `next`")]
Limit = Annotated[int, Query(ge=1, le=100)]

StaffRole = Literal[
    "caseworker", "coordinator", "leader", "bridge_builder", "auditor", "administrator", "operator"
]
FamilyRole = Literal["guardian", "young_person"]


class Body(BaseModel):
    """A body that has the fields that it is to have, and no others."""

    model_config = ConfigDict(extra="forbid")


class PlaceBody(Body):
    """A role, and the department or the organisation in which it is held; others are the municipality's."""

    role: StaffRole
    department_id: GivenId | None = None
    organisation_id: GivenId | None = None

    @property
    def position(self) -> Position:
        """The role and its place."""
        return Position(self.role, self.department_id, self.organisation_id)
