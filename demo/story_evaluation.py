"""The evaluations of a collaboration: the first measurement, the voices, and how it goes on."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from demo.agenda import Agenda, Lists
from demo.casefile import CaseFile
from demo.days import ONE_DAY, on_duty, on_office
from demo.dice import dice, happens
from demo.plan_course import Held
from demo.story_consent import NEWS
from demo.wire import Person

WORK: Final = "/evaluation/mine"
_MISSED_AFTER: Final = timedelta(days=17)
_NEEDED: Final = ("child", "family", "organisation")
_STANDING: Final = frozenset({"planned", "due"})
_LAST: Final = frozenset({"stop", "complete"})
_SHARE_READING: Final = 0.3


class Evaluations:
    """Evaluates one collaboration as often as it falls due."""

    def __init__(
        self,
        case: CaseFile,
        agenda: Agenda,
        agreement_id: UUID,
        coordinator: Person,
        adjust: Callable[[], None],
    ) -> None:
        """Plan into an agenda; `adjust` is called where a new version is needed."""
        self._case = case
        self._agenda = agenda
        self._agreement_id = agreement_id
        self._coordinator = coordinator
        self._adjust = adjust
        self._reported: dict[str, str] = {}

    def begin(self) -> None:
        """Plan the first measurement, or without time for it, a first reading of the case."""
        days, first = self._case.days, self._case.plan.course.first_measured
        if first is None:
            self._agenda.put(days.duty(3), self._learn)
        else:
            self._agenda.put(days.duty(first), self._measure, (self._case.duty, WORK))

    def read_again(self) -> None:
        """Plan to read when the next evaluation is held: a new version may have moved it."""
        self._agenda.drop("learn")
        self._agenda.put(self._case.days.duty(1), self._learn, tag="learn")

    async def _measure(self, lists: Lists) -> None:
        await self._learn(lists)
        row = self._row(lists, self._case.duty, "measurement_start")
        if row is not None:
            scores = self._case.plan.course.first
            body = {"agreement_id": self._agreement_id, "moment": "start", "scores": scores}
            await self._case.do(self._case.caseworker, "measure:start", "/measurements", body)
            self._case.stage("measured_start", self._case.book.referrals[-1])

    async def _learn(self, _lists: Lists) -> None:
        """Read when the next evaluation is held, and plan for it."""
        view = await self._case.view(self._case.caseworker, "evaluation")
        for one in view["collaborations"]:
            if one["agreement_id"] == str(self._agreement_id):
                self._plan_all(one["evaluations"])

    def _plan_all(self, evaluations: Any) -> None:
        for one in evaluations:
            at, due = one["evaluation_id"], one["due_on"]
            if one["status"] in _STANDING and self._reported.get(at) != due:
                self._agenda.drop(at)
                self._reported[at] = due
                self._plan(at, one["number"], date.fromisoformat(due))

    def _plan(self, at: str, number: int, due_on: date) -> None:
        case, planned = self._case, self._case.plan.course.evaluations
        held = planned[(number - 1) % len(planned)]
        day = max(due_on, case.days.today + ONE_DAY) + timedelta(days=held.voices_after)
        for who, voice, when, reads in self._speakers(number, held, day):
            wants = ((who, WORK), (who, NEWS)) if reads else ((who, WORK),)
            self._agenda.put(when, self._voice(at, number, who, voice, held), *wants, tag=at)
        if held.conclude_after is None:
            self._agenda.put(on_duty(due_on + _MISSED_AFTER), self._learn, tag=at)
        else:
            last = on_duty(on_office(day) + timedelta(days=held.conclude_after))
            self._agenda.put(last, self._conclude(at, number, held), (case.duty, WORK), tag=at)

    def _speakers(self, number: int, held: Held, day: date) -> list[tuple[Person, str, date, bool]]:
        case = self._case
        reads = happens(dice(case.world.seed, case.plan.number, number, "reads"), _SHARE_READING)
        found = [
            (case.parents[0], "family", day, reads),
            (self._coordinator, "organisation", on_office(day), False),
        ]
        if held.both_parents and len(case.parents) > 1:
            found.append((case.parents[1], "family", day, False))
        if case.is_young:
            found.append((case.child, "child", day, False))
        return found

    def _voice(self, at: str, number: int, who: Person, voice: str, held: Held) -> Any:
        answer = {"child": held.child, "family": held.family, "organisation": held.organisation}[voice]
        step = f"voice:{number}:{voice}:{int(who in self._case.parents[1:])}"

        async def speak(lists: Lists) -> None:
            if self._row(lists, who, "voice", at) is None:
                return
            await self._say(at, step, who, voice, answer)
            for (reader, path), inbox in lists.items():
                if reader == who and path == NEWS:
                    await self._case.read_notice(who, f"notice:{step}", inbox)

        return speak

    async def _say(self, at: str, step: str, who: Person, voice: str, answer: str) -> None:
        text = self._case.text("synes at det går godt med") if answer == "heard" else ""
        body = {"voice": voice, "answer": answer, "text": text}
        await self._case.do(who, step, f"/evaluations/{at}/voices", body, fresh=True)

    def _conclude(self, at: str, number: int, held: Held) -> Any:
        async def conclude(lists: Lists) -> None:
            if self._row(lists, self._case.duty, "conclusion", at) is None:
                return
            view = await self._case.view(self._case.caseworker, "evaluation")
            await self._minute(at, number, held, view)
            await self._decide(at, number, held, view)

        return conclude

    async def _minute(self, at: str, number: int, held: Held, view: Any) -> None:
        """Let the caseworker write down the voices that have not spoken for themselves."""
        [evaluation] = [
            one
            for collaboration in view["collaborations"]
            for one in collaboration["evaluations"]
            if one["evaluation_id"] == at
        ]
        heard = {one["voice"] for one in evaluation["voices"]}
        for voice in _NEEDED:
            if voice not in heard:
                answer = held.child if voice == "child" else "declined"
                step = f"voice:{number}:{voice}:minuted"
                await self._say(at, step, self._case.caseworker, voice, answer)

    async def _decide(self, at: str, number: int, held: Held, view: Any) -> None:
        [one] = [one for one in view["collaborations"] if one["agreement_id"] == str(self._agreement_id)]
        attained = [{"goal_id": goal, "attainment": held.attained} for goal in one["goal_ids"]]
        body = {
            "decision": held.decision,
            "reason": held.reason,
            "attained": attained,
            "note": self._case.text("aftalte vi om"),
        }
        caseworker = self._case.caseworker
        await self._case.do(caseworker, f"conclude:{number}", f"/evaluations/{at}/conclude", body)
        self._case.stage("evaluated", self._case.book.referrals[-1])
        self._case.forgets("agreement")
        self._agenda.drop(at)
        if held.decision in _LAST:
            self._agenda.over = True
            return
        await self._learn({})
        if held.decision == "adjust":
            self._adjust()

    def _row(self, lists: Lists, who: Person, what: str, at: str | None = None) -> Any:
        return next(
            (
                row
                for row in lists[who, WORK]
                if row["agreement_id"] == str(self._agreement_id)
                and row["what"] == what
                and (at is None or row["evaluation_id"] == at)
            ),
            None,
        )
