"""Stories: domain tests of any service as given, when, then; see `invariants` for what is checked besides.

    story.given(opened(), awaited(), recorded()).when(mother.yes()).then(ConsentGiven).timers("expiry")

What arises by `when` and `until` must be asserted by `then`, `timers` and `effects`, or waived by name, at
the latest at the end of the test. The fixture `story` sees to that.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.event import Event
from services.kernel.decider.decision import Actor, Decision, Effect, Timer, TimerFired
from services.kernel.errors import ProblemError
from tests.invariants import Observed, Step, Subject, violations

S = TypeVar("S")

SHOWN = 5
"""So many steps of a story are shown where a test fails."""


class Story(Generic[S]):
    """One stream of one service from its first input on; every method but the values returns the story."""

    def __init__(self, subject: Subject[S], *, checked: bool = True) -> None:
        """Begin with nothing on record; unchecked where examples are only made, not tested."""
        self.subject = subject
        self._checked = checked
        self.now = subject.begins
        self.state: S | None = None
        self.open: dict[tuple[str, UUID], datetime] = {}
        self.private: dict[str, Any] = {}
        self.private_values: dict[tuple[UUID, str], Any] = {}
        self._arisen = Decision(None)
        self._waived: set[str] = set()
        self._lines: list[str] = []

    def __str__(self) -> str:
        """Return the last steps, one a line."""
        return "\n".join(self._lines[-SHOWN:])

    @property
    def events(self) -> tuple[Event, ...]:
        """What has been published since the last assertion of events."""
        return self._arisen.events

    def given(self, *steps: Step) -> Self:
        """Take the steps of what happened before; what arises from them need not be asserted."""
        for step in steps:
            self._take("given", step)
        self._arisen = Decision(None)
        return self

    def when(self, *steps: Step) -> Self:
        """Take steps whose outcome is to be asserted."""
        for step in steps:
            self._take("when", step)
        return self

    def until(self, moment: datetime) -> Self:
        """Let time pass up to and with a moment: what falls due fires, in order, each at its time."""
        while due := min((at for at in self.open.values() if at <= moment), default=None):
            kind, ref = min(key for key, at in self.open.items() if at == due)
            self._take("then", Step(TimerFired(kind, ref, due), Actor(), max(due, self.now)))
        self.now = max(moment, self.now)
        return self

    def passes(self, **time: float) -> Self:
        """Let so many days or hours pass."""
        return self.until(self.now + timedelta(**time))

    def then(self, *events: Event | type[Event]) -> Self:
        """Assert what was published since the last time, in order; a type stands for any event of it."""
        found = [one for one in self._arisen.events if type(one).__name__ not in self._waived]
        self._arisen = replace(self._arisen, events=())
        named = [one if isinstance(one, Event) else type(one) for one in found]
        wanted = list(events)
        shown = [
            type(one) if isinstance(want, type) else one for one, want in zip(found, wanted, strict=False)
        ] + named[len(wanted) :]
        assert shown == wanted
        return self

    def timers(self, *timers: Timer | str) -> Self:
        """Assert which timers were set or taken back since the last time, in any order, by value or kind."""
        found, self._arisen = list(self._arisen.timers), replace(self._arisen, timers=())
        for want in timers:
            fits = [one for one in found if want in (one, one.kind)]
            assert fits, f"{want} was neither set nor taken back: {found}"
            found.remove(fits[0])
        assert [one for one in found if one.kind not in self._waived] == []
        return self

    def effects(self, *effects: Effect | str) -> Self:
        """Assert what is to be done in the world since the last time, in order, by value or kind."""
        found, self._arisen = self._arisen.effects, replace(self._arisen, effects=())
        shown = [one.kind if isinstance(want, str) else one for one, want in zip(found, effects, strict=True)]
        assert shown == list(effects)
        return self

    def where(self, read: Callable[[S | None], object], expected: object) -> Self:
        """Assert what is read from the document."""
        assert read(self.state) == expected
        return self

    def waive(self, *names: str) -> Self:
        """Leave events, timers or effects of these names unasserted in this story."""
        self._waived.update(names)
        return self

    def refused(self, step: Step, problem: type[ProblemError]) -> Self:
        """Assert that a step is refused, by exactly this problem, and leaves everything as it was."""
        at = step.at or self.now
        self._lines.append(self._line("refused", step, at))
        context = self.subject.context(step.by, at, self._opened(step.trigger))
        with pytest.raises(problem) as caught:
            self.subject.decide(self.state, step.trigger, context)
        assert caught.type is problem
        return self

    def changes_nothing(self, *steps: Step) -> Self:
        """Assert that steps leave the very same document, and say and set nothing."""
        for step in steps:
            before, arisen = self.state, self._arisen
            self._take("when", step)
            assert self.state is before, "the document changed"
            assert self._arisen == arisen, "something was said or set"
        return self

    def end(self) -> None:
        """Raise where something has arisen that was neither asserted nor waived."""
        arisen = self._arisen
        left = [
            *(type(one).__name__ for one in arisen.events),
            *(one.kind for one in arisen.timers),
            *(one.kind for one in arisen.effects),
        ]
        missing = [name for name in left if name not in self._waived]
        assert missing == [], f"neither asserted nor waived: {missing}"

    def _take(self, word: str, step: Step) -> None:
        self.now = max(self.now, step.at) if step.at else self.now
        at = step.at or self.now
        before, trigger = self.state, step.trigger
        context = self.subject.context(step.by, at, self._opened(trigger))
        self._lines.append(self._line(word, step, at))
        if not isinstance(trigger, Event | TimerFired):
            assert self.subject.service.authorize(before, trigger, context), f"{step.by.role} may not"
        decision = self.subject.decide(before, trigger, context)
        self._keep(trigger, decision)
        self._lines[-1] += f" -> {', '.join(type(one).__name__ for one in decision.events) or 'no event'}"
        if not self._checked:
            return
        seen = Observed(before, trigger, context, decision, dict(self.open), dict(self.private))
        wrong = list(violations(self.subject, seen))
        assert wrong == [], "\n".join(wrong)

    def _keep(self, trigger: object, decision: Decision) -> None:
        self.state = decision.state
        if isinstance(trigger, TimerFired) and self.open.get((trigger.kind, trigger.ref)) == trigger.due_at:
            del self.open[trigger.kind, trigger.ref]
        for timer in decision.timers:
            self.open.pop((timer.kind, timer.ref), None)
            if timer.due_at is not None:
                self.open[timer.kind, timer.ref] = timer.due_at
        for value in decision.private_values:
            self.private[value.name] = value.value
            self.private_values[value.subject, value.name] = value.value
        self._arisen = replace(
            self._arisen,
            events=self._arisen.events + decision.events,
            timers=self._arisen.timers + decision.timers,
            effects=self._arisen.effects + decision.effects,
        )

    def _opened(self, trigger: object) -> dict[str, Any]:
        return dict(self.private) if type(trigger) in self.subject.service.reads_private_for else {}

    def _line(self, word: str, step: Step, at: datetime) -> str:
        name = step.trigger.kind if isinstance(step.trigger, TimerFired) else type(step.trigger).__name__
        return f"{word:>7} {at:%Y-%m-%d %H:%M} {name} by {step.by.role}"
