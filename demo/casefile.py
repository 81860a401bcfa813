"""Case file: one case as its clients see it, with the versions they read and the commands acknowledged."""

import asyncio
from datetime import date
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from demo.days import Days, Want
from demo.dice import dice, happens
from demo.ledger import READING, CaseBook, Deed, Ledger, ReferralBook
from demo.plan import OF_AGE, YOUNG, CasePlan
from demo.setting import Cast
from demo.wire import Answer, Person, Unexpected, Wire

EVENT_OF: Final = {
    "open": "referral.case_opened.v1",
    "views": "referral.views_noted.v1",
    "assess": "referral.eligibility_assessed.v1",
    "draft": "referral.drafted.v1",
    "await": "referral.consent_awaited.v1",
    "send": "referral.sent.v1",
    "see": "referral.seen.v1",
    "accept": "referral.accepted.v1",
    "decline": "referral.declined.v1",
    "recall": "referral.recalled.v1",
    "delete": "referral.deletion_confirmed.v1",
    "close": "referral.case_closed.v1",
    "custody": "consent.custody_recorded.v1",
    "give": "consent.given.v1",
    "minute": "consent.minuted.v1",
    "reject": "consent.unconfirmed.v1",
    "confirm_custody": "consent.custody_confirmed.v1",
    "confirm": "consent.given.v1",
    "refuse": "consent.refused.v1",
    "withdraw": "consent.withdrawn.v1",
    "meet": "agreement.meeting_held.v1",
    "propose": "agreement.proposed.v1",
    "sign": "agreement.signed.v1",
    "report": "agreement.progress_reported.v1",
    "end": "agreement.ended.v1",
    "measure": "evaluation.measurement_taken.v1",
    "voice": "evaluation.voice_heard.v1",
    "conclude": "evaluation.concluded.v1",
}
"""The event that each step leaves in the trail, once, whatever else follows from it."""

_FAMILY: Final = frozenset({"guardian", "young_person"})
_TRIES: Final = 8
_SHARE_TWICE: Final = 0.05
_SHARE_STALE: Final = 0.03
_DENIED: Final = frozenset({403, 404})
_STALE: Final = 412
_GOOD: Final = frozenset({200, 201})


class World(Struct, frozen=True):
    """What all stories share."""

    seed: int
    wire: Wire
    days: Days
    cast: Cast
    ledger: Ledger
    catalogue: dict[str, Any]
    placed: dict[tuple[date, UUID], set[UUID]]


class CaseFile:
    """Asks for steps on behalf of the people of one case."""

    case_id: UUID
    child: Person
    parents: tuple[Person, ...]

    def __init__(self, world: World, plan: CasePlan, book: CaseBook) -> None:
        """Begin with the caseworker; child and parents get their ids from the server."""
        department = world.cast.departments[plan.department]
        self.world = world
        self.plan = plan
        self.book = book
        self.days = world.days
        self.department = department
        self.duty = department.caseworkers[0]
        self.caseworker = department.caseworkers[plan.caseworker % len(department.caseworkers)]
        self._versions: dict[str, int] = {}

    @property
    def colleague(self) -> Person:
        """The employee who confirms what the caseworker has minuted: another one, or else the leader."""
        others = (one for one in self.department.caseworkers if one != self.caseworker)
        return next(others, self.department.leader)

    @property
    def is_young(self) -> bool:
        """Return whether the child is old enough that its consent is needed too."""
        return self.plan.age_on(self.days.today) >= YOUNG

    @property
    def is_of_age(self) -> bool:
        """Return whether the child speaks for itself alone."""
        return self.plan.age_on(self.days.today) >= OF_AGE

    async def until(self, day: date, *wants: Want) -> list[Any]:
        """Sleep until a day, and return the lists that were wanted as they stood on its morning."""
        return await self.days.until(day, *wants, order=self.plan.number)

    def stage(self, reached: str, referral: ReferralBook | None = None) -> None:
        """Record the stage of the case, and the day on which it was first reached."""
        self.book.stage = reached
        self.book.reached.setdefault(reached, self.days.today)
        if referral is not None:
            referral.reached.setdefault(reached, self.days.today)

    def fault(self, said: str) -> None:
        """Record an incident."""
        self.world.ledger.fault(self.plan.number, said)

    def text(self, said: str) -> str:
        """Return a text that bears the case's marks."""
        return f"{self.plan.words[0]} {said} {self.plan.first_name} {self.plan.words[1]}"

    async def do(
        self,
        who: Person,
        step: str,
        rest: str,
        body: object = None,
        *,
        version: int | None = None,
        fresh: bool = False,
    ) -> Any:
        """Take a step, read again and decide again where somebody was faster, and return what was answered.

        A share of all steps is sent twice at once under one key, and a share first with a version that is
        past. Raises `Unexpected` where the step is refused.
        """
        event = EVENT_OF[step.partition(":")[0]]
        service = event.partition(".")[0]
        path = f"/{service}/cases" + ("" if step == "open" else f"/{self.case_id}{rest}")
        seen = None if fresh else version or self._versions.get(service) or await self.reread(who, service)
        if seen and happens(dice(self.world.seed, self.plan.number, step, "stale"), _SHARE_STALE):
            await self._try_stale(who, path, body, step, seen - 1)
        for _ in range(_TRIES):
            answer = await self._post(who, path, body, step, seen)
            if answer.status != _STALE:
                break
            self.world.ledger.read_again[step.partition(":")[0]] += 1
            seen = await self.reread(who, service)
        if answer.status not in _GOOD:
            raise Unexpected(f"{answer.status} {answer.slug} at {step}")
        self.world.ledger.acknowledged(self.book, Deed(step, event, who.id, self.days.today))
        if step != "open":
            self.knows(service, answer.body["version"])
        return answer.body

    async def send(self, who: Person, step: str, path: str, body: object = None) -> Any:
        """Take a step that is not about the case itself."""
        answer = await self.world.wire.post(who, path, body, key=self._key(step))
        if answer.status not in _GOOD:
            raise Unexpected(f"{answer.status} {answer.slug} at {step}")
        self.world.ledger.counted()
        return answer.body

    async def read_notice(self, who: Person, step: str, inbox: Any) -> None:
        """Read the newest notice of an inbox, if there is one."""
        for notice in inbox["notices"][:1]:
            await self.send(who, step, f"/notify/inbox/{notice['notice_id']}/read")
            self.book.deeds.append(Deed(step, READING, who.id, self.days.today))

    async def _post(self, who: Person, path: str, body: object, step: str, version: int | None) -> Answer:
        wire, key = self.world.wire, self._key(step)
        if not happens(dice(self.world.seed, self.plan.number, step, "twice"), _SHARE_TWICE):
            return await wire.post(who, path, body, key=key, version=version)
        first, second = await asyncio.gather(
            wire.post(who, path, body, key=key, version=version),
            wire.post(who, path, body, key=key, version=version),
        )
        if first.status in _GOOD or second.status in _GOOD:
            self.world.ledger.twice += 1
            if (first.status, first.body) != (second.status, second.body):
                said = f"{first.status} {first.slug} and {second.status} {second.slug}"
                self.fault(f"{step} sent twice was answered {said}")
        return first if first.status in _GOOD else second

    async def _try_stale(self, who: Person, path: str, body: object, step: str, version: int) -> None:
        answer = await self.world.wire.post(who, path, body, key=self._key(step), version=version)
        if answer.status == _STALE:
            self.world.ledger.stale += 1
        else:
            self.world.ledger.fault(
                self.plan.number, f"{step} on a past version was answered {answer.status}"
            )

    def _key(self, step: str) -> str:
        return f"{self.world.cast.run}:{self.plan.number}:{step}"

    def knows(self, service: str, version: int) -> None:
        """Remember which version of the case somebody has seen at a service."""
        self._versions[service] = version

    def forgets(self, service: str) -> None:
        """Read again before the next step: something else has changed the case there."""
        self._versions.pop(service, None)

    async def reread(self, who: Person, service: str) -> int:
        """Return the version at which a case stands, as the person sees it."""
        if service == "consent" and who.role in _FAMILY:
            rows = await self.world.wire.read(who, "/consent/mine")
            return next(int(row["version"]) for row in rows if row["case_id"] == str(self.case_id))
        view = await self.view(who, service, "/to-confirm" if who.role == "leader" else "")
        return int(view["version"])

    async def view(self, who: Person, service: str, rest: str = "") -> Any:
        """Read the case; the read must be in the audit trail."""
        answer = await self.world.wire.read_case(who, f"/{service}/cases/{self.case_id}{rest}")
        if answer.status not in _GOOD:
            raise Unexpected(f"{answer.status} {answer.slug} at a read of {service} by a {who.role}")
        about = (f"{service}.looked.v1", who.id)
        self.book.reads[about] += 1
        self.book.perhaps[about] += answer.times - 1
        self.world.ledger.reads += 1
        self.knows(service, answer.body["version"])
        return answer.body

    async def try_to_read(self, who: Person, service: str) -> None:
        """Read a case without the right to; the read must be denied, and be in the audit trail."""
        answer = await self.world.wire.read_case(who, f"/{service}/cases/{self.case_id}")
        if answer.status not in _DENIED:
            self.fault(f"a {who.role} without a right saw {service}: {answer.status}")
        about = (f"{service}.access_refused.v1", who.id)
        self.book.refused[about] += 1
        self.book.perhaps[about] += answer.times - 1
        self.world.ledger.refused_reads += 1
