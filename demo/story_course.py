"""A collaboration while it runs: updates, a new version of the agreement, and an early end."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from demo.agenda import Agenda, Lists
from demo.casefile import CaseFile
from demo.days import ONE_DAY, on_duty, on_office
from demo.story_agreement import WORK, agreement_in, end, party_of, propose, sign, signers, waiting
from demo.story_consent import MINE
from demo.story_end import recall, withdraw_now
from demo.story_evaluation import Evaluations
from demo.wire import Person

_MISSED_AFTER: Final = timedelta(days=17)
_LOOK_AGAIN: Final = timedelta(days=5)
_REMINDED: Final = -4


class CourseRun:
    """One collaboration, from the day on which it came into force."""

    def __init__(self, case: CaseFile, agreement: Any) -> None:
        """Follow the agreement that came of the case's last referral, as it was seen."""
        self.case = case
        self.plan = case.plan.course
        self.referral = case.book.referrals[-1]
        self.agreement_id = UUID(agreement["agreement_id"])
        self.agenda = Agenda()
        self._agreement = agreement
        self._coordinator = case.world.cast.coordinators[self.referral.organisation_id]
        self._updates = 0
        self._version = 1
        self._evaluations = Evaluations(case, self.agenda, self.agreement_id, self._coordinator, self._adjust)

    async def play(self) -> None:
        """Play the collaboration until it is over."""
        case, days = self.case, self.case.days
        ends_on = date.fromisoformat(self._agreement["terms"]["ends_on"])
        self.agenda.put(ends_on + ONE_DAY, self._find_end)
        self._evaluations.begin()
        self._expect_update(date.fromisoformat(self._agreement["next_update"]["due_on"]))
        day = days.today + timedelta(days=self.plan.ends_after)
        if self.plan.ends and day < ends_on:
            self._plan_end(day)
        await self.agenda.play(case)
        case.forgets("agreement")
        case.forgets("evaluation")
        case.stage("ended", self.referral)

    def _plan_end(self, day: date) -> None:
        match self.plan.ends:
            case "consent":
                self.agenda.put(day, self._withdraw, (self.case.parents[0], MINE))
            case "family":
                self.agenda.put(day, self._family_stops)
            case "organisation":
                self.agenda.put(on_office(day), self._organisation_stops, (self._coordinator, WORK))
            case _:
                self.agenda.put(on_duty(day), self._recall)

    async def _withdraw(self, lists: Lists) -> None:
        await withdraw_now(self.case, self.referral, lists[self.case.parents[0], MINE])
        if self.referral.withdrawn:
            self.agenda.over = True
        else:
            await self._find_end(lists)

    async def _family_stops(self, lists: Lists) -> None:
        speaker = self.case.child if self.case.is_of_age else self.case.parents[0]
        if await self._runs(speaker):
            await end(self.case, speaker, self.agreement_id, "family_stopped")
            self.agenda.over = True
        else:
            await self._find_end(lists)

    async def _organisation_stops(self, lists: Lists) -> None:
        if waiting(lists[self._coordinator, WORK], self.case, "progress") is None:
            await self._find_end(lists)
            return
        await end(self.case, self._coordinator, self.agreement_id, "volunteer_stopped")
        self.agenda.over = True

    async def _recall(self, lists: Lists) -> None:
        if await self._runs(self.case.caseworker):
            await recall(self.case, self.referral, "other_offer_chosen")
            self.agenda.over = True
        else:
            await self._find_end(lists)

    async def _runs(self, who: Person) -> bool:
        view = await self.case.view(who, "agreement")
        return bool(agreement_in(view, self.agreement_id)["status"] == "in_force")

    async def _find_end(self, _lists: Lists) -> None:
        """Check whether the collaboration has ended by itself; if not, check again some days later."""
        if await self._runs(self.case.caseworker):
            self.agenda.drop("end")
            self.agenda.put(self.case.days.today + _LOOK_AGAIN, self._find_end, tag="end")
        else:
            self.agenda.over = True

    def _expect_update(self, due_on: date) -> None:
        """Plan for the next update to come in time, late, or not at all."""
        planned = self.plan.updates[self._updates % len(self.plan.updates)]
        self._updates += 1
        want = (self._coordinator, WORK)
        if planned.late is None:
            self.agenda.put(on_office(due_on + _MISSED_AFTER), self._miss, want)
        else:
            day = on_office(max(due_on + timedelta(days=planned.late), self.case.days.today + ONE_DAY))
            self.agenda.put(day, self._report, want)

    async def _miss(self, lists: Lists) -> None:
        row = waiting(lists[self._coordinator, WORK], self.case, "progress")
        if row is None:
            await self._find_end(lists)
        else:
            self._expect_update(date.fromisoformat(row["due_on"]))

    async def _report(self, lists: Lists) -> None:
        if waiting(lists[self._coordinator, WORK], self.case, "progress") is None:
            await self._find_end(lists)
            return
        planned = self.plan.updates[(self._updates - 1) % len(self.plan.updates)]
        if planned.late is None or planned.late >= _REMINDED:
            self.case.forgets("agreement")
        text = self.case.text("har haft en god måned med")
        body = {"agreement_id": self.agreement_id, "trend": planned.trend, "text": text}
        await self.case.do(self._coordinator, f"report:{self._updates}", "/progress", body)
        self._expect_update(self.case.days.today + timedelta(days=self.plan.update_every))

    def _adjust(self) -> None:
        """Plan for a new version, which an evaluation has decided."""
        day, want = self.case.days.duty(1), (self.case.duty, WORK)
        self.agenda.put(day, self._propose, want)

    async def _propose(self, lists: Lists) -> None:
        if waiting(lists[self.case.duty, WORK], self.case, "proposal") is None:
            await self._find_end(lists)
            return
        self._version += 1
        self.case.forgets("agreement")
        await propose(self.case, self.agreement_id, self._version)
        for day, who, party in signers(self.case, self.referral):
            self._plan_signature(day, who, party)

    def _plan_signature(self, day: date, who: Person, party: str) -> None:
        async def sign_it(lists: Lists) -> None:
            if waiting(lists[who, WORK], self.case, "signature") is not None:
                await sign(self.case, who, self.agreement_id, self._version, party_of(self.case, party))
                self._evaluations.read_again()

        self.agenda.put(day, sign_it, (who, WORK))
