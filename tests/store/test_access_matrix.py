"""Access matrix: all routes, all roles; what is not theirs looks like what is not there, and is recorded."""

import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

from tests.access_matrix import (
    ELSEWHERE,
    HOME,
    REFUSED,
    ROLES_IN_ORDER,
    Everything,
    Route,
    Seen,
    absent_ids,
    everything,
    ids,
    inside,
    outside,
    routes,
)

_WARM: Final = 3
_OPEN_TO_ALL: Final = (
    "/directory/offers",
    "/directory/organisations",
    "/directory/accounts/{account_id}/contact",
)
"""What the whole municipality reads: the catalogue, and whom to turn to."""
_OF_ADMINISTRATORS: Final = ("/directory/accounts", "/directory/invitations", "/notify/contacts/")


def cells() -> list[tuple[Route, str]]:
    """Return every route with every role."""
    return [(route, role) for route in routes() for role in ROLES_IN_ORDER]


def _open_to(route: Route, role: str) -> bool:
    """Return whether a role has a right to what a route names, whoever the person is."""
    if route.path.startswith(_OPEN_TO_ALL):
        return True
    if route.path.startswith("/audit/operations/cases/") and role == "operator":
        return True
    if route.path.startswith("/directory/accounts/") and role == "portal":
        return True
    is_administrators = role == "administrator" and route.path.startswith(_OF_ADMINISTRATORS)
    return is_administrators or (route.service == "audit" and role == "auditor")


async def test_every_route_answers_who_has_a_part_in_it(postgres_dsn: str) -> None:
    """Whatever a route reads or changes, its statements are understood by the database."""
    answered: dict[str, set[int]] = defaultdict(set)
    async with everything(postgres_dsn) as site:
        for route in routes():
            found = answered[f"{route.method} {route.path}"]
            for role in sorted(route.roles):
                found.add((await site.ask(route, inside(route.service, role), ids(HOME))).status)
                if min(found) < 300:
                    break

    reached = {path.split("/")[1] for path, found in answered.items() if any(one < 300 for one in found)}
    assert {path: found for path, found in answered.items() if max(found, default=0) >= 500} == {}
    assert reached == {route.service for route in routes()}


async def test_findings_4_and_13_what_is_not_theirs_looks_like_what_is_not_there(postgres_dsn: str) -> None:
    """For every route and role: one answer, one amount of work, and an entry for each denial."""
    faults: list[str] = []
    asked = 0
    async with everything(postgres_dsn) as site:
        for route, role in cells():
            if not route.names_an_id:
                continue
            for who, claims in (("part", inside(route.service, role)), ("no part", outside(role))):
                found = await _answers(site, route, claims)
                asked += len(found)
                faults += [
                    f"{route.method} {route.path} as {role} with {who}: {fault}"
                    for fault in _faults(found, strict=who == "no part" and not _open_to(route, role))
                ]
                if any(seen.names_roles == (role in route.roles) for seen in found.values()):
                    faults.append(f"{route.method} {route.path} as {role}: x-roles say {sorted(route.roles)}")

    sys.stdout.write(f"{len(routes())} routes, {len(ROLES_IN_ORDER)} roles, {asked} cells\n")
    assert not faults, "\n".join(faults)


async def test_every_refused_list_is_recorded(postgres_dsn: str) -> None:
    """Row 15: a list or a beginning that is not for a role is refused by the role alone, and recorded."""
    faults: list[str] = []
    async with everything(postgres_dsn) as site:
        for route, role in cells():
            if route.names_an_id:
                continue
            seen = await site.ask(route, outside(role), {})
            if seen.denials != (seen.status in REFUSED) or seen.status >= 500:
                faults.append(f"{route.method} {route.path} as {role}: {seen.status}, {seen.denials} entries")
            if seen.names_roles == (role in route.roles):
                faults.append(f"{route.method} {route.path} as {role}: x-roles say {sorted(route.roles)}")
        faults += [fault async for fault in _wrong_versions(site)]

    assert faults == []


async def _wrong_versions(site: Everything) -> AsyncIterator[str]:
    """Yield the commands that need If-Match and do not say so, or the other way round."""
    for route in routes():
        if route.method != "POST" or not route.names_an_id:
            continue
        found = {
            role: (await site.ask(route, inside(route.service, role), ids(HOME), version="")).status
            for role in sorted(route.roles)
        }
        granted = {status for status in found.values() if status not in REFUSED}
        if granted and (428 in granted) != route.needs_version:
            yield f"{route.method} {route.path}: {found}, and If-Match is required: {route.needs_version}"


async def _answers(site: Everything, route: Route, claims: dict[str, Any]) -> dict[str, Seen]:
    """Ask for each kind of id, after the caches of this person are warm in the service."""
    person = (route.service, claims["sub"], route.method)
    for _ in range(0 if person in site.warm else _WARM):
        await site.ask(route, claims, absent_ids())
    site.warm.add(person)
    named = {"absent": absent_ids(), "foreign": ids(ELSEWHERE), "own": ids(HOME)}
    return {kind: await site.ask(route, claims, found) for kind, found in named.items()}


def _faults(found: dict[str, Seen], *, strict: bool) -> list[str]:
    """Return what tells the answers apart that must be one; `strict` where the person has no right at all."""
    absent = found["absent"]
    alike = ["foreign", "own"] if strict or found["own"].status in REFUSED else ["foreign"]
    faults = [
        f"{kind} is answered {found[kind].shown}, absent {absent.shown}"
        for kind in alike
        if found[kind].shown != absent.shown
    ]
    if any(seen.status == 404 and not seen.statements for seen in found.values()):
        faults.append("no statement was counted")
    faults += [
        f"{kind} takes {len(found[kind].statements)} statements, absent {len(absent.statements)}: "
        f"{sorted({*found[kind].statements} ^ {*absent.statements})}"
        for kind in (alike if strict else ["foreign"])
        if found[kind].statements != absent.statements and found[kind].status in REFUSED
    ]
    faults += [
        f"{kind} is answered {seen.status} and leaves {seen.denials} entries"
        for kind, seen in found.items()
        if seen.denials != (seen.status in REFUSED) or seen.status == 500
    ]
    return faults
