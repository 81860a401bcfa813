"""Invariants of every service's rules: checked after each step of a story, without a call in the test."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel

from contracts.model import CollaborationModel
from services.kernel.decider.deadlines import Waiting
from services.kernel.decider.decision import Actor, Context, Decision, Timer
from services.kernel.decider.lifecycle import Lifecycle
from services.kernel.decider.service import Service
from services.kernel.errors import ProblemError
from tests.lifecycles import targets

S = TypeVar("S")


class Step(NamedTuple):
    """One input of a story: a command, an event or a fired timer; who sends it; and when, if not at once."""

    trigger: Any
    by: Actor = Actor()
    at: datetime | None = None


@dataclass(frozen=True)
class Subject(Generic[S]):
    """A service as stories see it: its rules, and what must hold for its states.

    `begins` is when a story begins. `things` gives each thing inside a document by its id, with its state
    machine and its state. `timers` gives the timers that follow from a document, `waiting` what each thing
    waits for, `day_of` the local day of a moment. `views` takes a document and its private values as each
    role would see them. `exits` gives the commands that must be possible now, whatever else is missing.
    `markers` are the names and dates that may stand in private values only. `others` are the documents of
    further streams that a decision needs. Exceptions are named, each with its reason: `free_timers` do not
    follow from the document alone, `repeats` publish something each time, and `patient` states are not final
    and wait for nothing.
    """

    service: Service
    stream_id: UUID
    tenant: str
    begins: datetime
    models: Mapping[str, CollaborationModel]
    things: Callable[[S], Mapping[UUID, tuple[Lifecycle, Any]]]
    timers: Callable[[S], Iterable[Timer]]
    waiting: Callable[[S], Mapping[UUID, Waiting]]
    day_of: Callable[[datetime], date]
    views: Mapping[str, Callable[[S, Mapping[str, Any]], object]]
    exits: Callable[[S], Iterable[Step]]
    markers: tuple[str, ...]
    free_timers: Mapping[str, str] = field(default_factory=dict)
    repeats: Mapping[type, str] = field(default_factory=dict)
    patient: Mapping[type, str] = field(default_factory=dict)
    others: Mapping[UUID, Any] = field(default_factory=dict)

    def context(
        self, by: Actor, at: datetime, private: Mapping[str, Any], models: Mapping[str, Any] | None = None
    ) -> Context:
        """Return what a rule may use besides the document and the trigger."""
        installed = self.models if models is None else models
        return Context(at, self.stream_id, self.tenant, by, installed, self.others, private)

    def decide(self, before: S | None, trigger: Any, context: Context) -> Decision:
        """Return the decision of the service's own rules."""
        return self.service.decide(before, trigger, context)


@dataclass(frozen=True)
class Observed(Generic[S]):
    """One step as it was taken: what stood before, the input, the decision, and all that is set and kept."""

    before: S | None
    trigger: Any
    context: Context
    decision: Decision
    timers: Mapping[tuple[str, UUID], datetime]
    private: Mapping[str, Any]

    @property
    def after(self) -> S | None:
        """The document after the step."""
        state: S | None = self.decision.state
        return state


def violations(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """Return what does not hold after a step, one sentence each."""
    for check in CHECKS:
        for wrong in check(subject, step):
            yield f"{check.__name__.replace('_', ' ').strip()}: {wrong}"


def a_decision_is_pure(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """The same input on the same document gives the same decision."""
    again = subject.decide(step.before, step.trigger, step.context)
    if again != step.decision:
        yield f"{type(step.trigger).__name__} decides twice differently"


def a_document_is_read_as_it_was_written(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """A document survives being stored."""
    if step.after is None:
        return
    try:
        read = msgspec.json.decode(msgspec.json.encode(step.after), type=subject.service.state)
    except msgspec.MsgspecError as error:
        yield str(error)
        return
    if read != step.after:
        yield "the document that is read differs"


def the_same_input_again_changes_nothing(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """A command that is repeated, or a timer that fires twice, is already so."""
    kind = type(step.trigger)
    try:
        again = subject.decide(step.after, step.trigger, step.context)
    except ProblemError as refusal:
        yield f"{kind.__name__} is refused the second time by {type(refusal).__name__}"
        return
    if again.state != step.after:
        yield f"{kind.__name__} changes the document again"
    if (again.events or again.effects) and kind not in subject.repeats:
        yield f"{kind.__name__} publishes again: {_names(again)}"


def every_role_can_be_shown_the_state(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """No view raises, and each gives something that can be sent."""
    if step.after is None:
        return
    for role, view in subject.views.items():
        try:
            _as_text(view(step.after, step.private))
        except Exception as error:  # noqa: BLE001  whatever a view raises is the finding
            yield f"{role}: {type(error).__name__}: {error}"


def timers_are_those_of_the_state(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """What is set follows from the document: nothing was forgotten and nothing is left over."""
    derived = () if step.after is None else subject.timers(step.after)
    wanted = {(timer.kind, timer.ref, timer.due_at) for timer in derived if timer.due_at is not None}
    found = {
        (kind, ref, due_at) for (kind, ref), due_at in step.timers.items() if kind not in subject.free_timers
    }
    yield from (f"{one[0]} is not set" for one in wanted - found)
    yield from (f"{one[0]} is set and nothing waits for it" for one in found - wanted)


def a_final_state_has_no_open_timer(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """What cannot change any more is not woken."""
    set_for = {ref: kind for kind, ref in step.timers}
    for thing_id, (lifecycle, state) in _things(subject, step.after).items():
        if is_final(lifecycle, type(state)) and thing_id in set_for:
            yield f"{set_for[thing_id]} is set for {type(state).__name__}"


def an_open_state_says_what_it_waits_for(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """It names a party, and a day or the reason for which there is none."""
    if step.after is None:
        return
    waiting = subject.waiting(step.after)
    for thing_id, (lifecycle, state) in _things(subject, step.after).items():
        wait, name = waiting.get(thing_id), type(state).__name__
        if is_final(lifecycle, type(state)):
            if wait is not None:
                yield f"{name} is final and waits for {wait.what}"
        elif wait is None:
            if type(state) not in subject.patient:
                yield f"{name} waits for nothing"
        elif not wait.party or (wait.until is None and not wait.open_ended):
            yield f"{name} waits for {wait.what}, and no party or no day is named"


def a_wait_that_ends_by_itself_has_its_timer(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """Each timer is the last day of a wait, and each last day on which something follows has a timer.

    The steps of an escalation, `kind:step`, lie around that day.
    """
    if step.after is None:
        return
    waiting = subject.waiting(step.after)
    days = {subject.day_of(due_at) for due_at in step.timers.values()}
    steps = {ref for kind, ref in step.timers if ":" in kind}
    for thing_id, wait in waiting.items():
        if wait.then and wait.until not in days and thing_id not in steps:
            yield f"{wait.what} is to be {wait.then} by itself, and no timer fires on that day"
    for timer in subject.timers(step.after):
        ends, is_step = waiting.get(timer.ref), ":" in timer.kind
        is_last = ends is not None and timer.due_at and ends.until == subject.day_of(timer.due_at)
        if timer.due_at and (ends is None or not (is_last or is_step) or not ends.then):
            yield f"{timer.kind} fires on a day that nothing waits for"


def a_state_moves_only_to_a_declared_state(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """Each thing that moved did so by a line of its table: that of the input, or of an event caused by it."""
    before, causes = _things(subject, step.before), (step.trigger, *step.decision.events)
    for thing_id, (lifecycle, after) in _things(subject, step.after).items():
        earlier = before[thing_id][1] if thing_id in before else None
        if type(earlier) is not type(after) and not any(
            type(after) in targets(lifecycle, earlier, cause) for cause in causes
        ):
            names = [type(cause).__name__ for cause in causes]
            yield f"{type(earlier).__name__} to {type(after).__name__} by {names} stands in no table"


def no_personal_data_leaves_its_encryption(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """Events, timers, effects and the document hold ids, dates and codes only."""
    decision = step.decision
    text = msgspec.json.encode((decision.state, decision.timers, decision.effects)).decode()
    text += " ".join(event.model_dump_json() for event in decision.events)
    yield from (f"{marker} stands in the open" for marker in subject.markers if marker in text)


def an_exit_is_never_blocked(subject: Subject[S], step: Observed[S]) -> Iterator[str]:
    """An exit is taken in every state that has one, also where no model is installed."""
    if step.after is None:
        return
    for command, by, at in subject.exits(step.after):
        context = subject.context(by, at or step.context.now, {}, models={})
        if not subject.service.authorize(step.after, command, context):
            yield f"{type(command).__name__} is not allowed to a {by.role}"
        try:
            subject.decide(step.after, command, context)
        except ProblemError as refusal:
            yield f"{type(command).__name__} is refused by {type(refusal).__name__}"


CHECKS: Final[tuple[Callable[[Subject[Any], Observed[Any]], Iterator[str]], ...]] = (
    a_decision_is_pure,
    a_document_is_read_as_it_was_written,
    the_same_input_again_changes_nothing,
    every_role_can_be_shown_the_state,
    timers_are_those_of_the_state,
    a_final_state_has_no_open_timer,
    an_open_state_says_what_it_waits_for,
    a_wait_that_ends_by_itself_has_its_timer,
    a_state_moves_only_to_a_declared_state,
    no_personal_data_leaves_its_encryption,
    an_exit_is_never_blocked,
)


def is_final(lifecycle: Lifecycle, state: type) -> bool:
    """Return whether no line of any table leads out of a state."""
    return all(row.to == (state,) for row in lifecycle.rows if row.state is state)


def _things(subject: Subject[S], state: S | None) -> Mapping[UUID, tuple[Lifecycle, Any]]:
    return {} if state is None else subject.things(state)


def _as_text(shown: object) -> str:
    if isinstance(shown, BaseModel):
        return shown.model_dump_json()
    return msgspec.json.encode(shown, enc_hook=_as_text).decode()


def _names(decision: Decision) -> list[str]:
    return [type(event).__name__ for event in decision.events] + [effect.kind for effect in decision.effects]
