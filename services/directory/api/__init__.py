"""HTTP API of the directory: the catalogue, accounts and their roles, invitations, families, sign-in."""

from typing import Final

from fastapi import APIRouter

from services.directory.api import accounts, catalogue, families, invitations, sign_in

router: Final = APIRouter()
for _part in (catalogue, accounts, invitations, families, sign_in):
    router.include_router(_part.router)
