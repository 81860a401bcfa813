"""One transition: the case, the record or permission inside it that moves, and what a rule may use."""

from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from contracts.event import Event
from contracts.model import CollaborationModel
from services.consent.domain.deadlines import TIMED, calendar_for, timers_of
from services.consent.domain.refusals import ModelMissing, OwnMatter, SecondEmployeeMissing
from services.consent.domain.states import Case, Confirmation, Consent, Permission, ToldBy
from services.kernel.decider.decision import Context, Decision, Timer
from services.kernel.decider.escalation import timer_changes
from services.kernel.decider.working_days import Calendar


class Transition(Struct, frozen=True):
    """What a step gets besides the state and the trigger: the whole case, and the id of what moves."""

    case: Case
    id: UUID
    context: Context

    def unchanged(self) -> Decision:
        """Return that everything stays as it is."""
        return Decision(self.case)

    def record(self, after: Consent, *events: Event) -> Decision:
        """Return that one person's record moves to a state; its timers follow from the two states."""
        before = self.case.consents.get(self.id)
        ref = self.case.permissions[after.question.referral_id].scope.model
        timers = self._timer_changes(before, after, ref)
        case = replace(self.case, consents={**self.case.consents, self.id: after})
        return Decision(case, events, timers)

    def permission(self, after: Permission, *events: Event) -> Decision:
        """Return that a referral's permission moves to a state; its timers follow from the two states."""
        before = self.case.permissions.get(self.id)
        if before is after:
            return Decision(self.case, events)
        timers = self._timer_changes(before, after, after.scope.model)
        case = replace(self.case, permissions={**self.case.permissions, self.id: after})
        return Decision(case, events, timers)

    def _timer_changes(
        self, before: Consent | Permission | None, after: Consent | Permission, model: str
    ) -> tuple[Timer, ...]:
        if not isinstance(before, TIMED) and not isinstance(after, TIMED):
            return ()
        installed = self.context.models.get(model)
        return timer_changes(timers_of(self.id, before, installed), timers_of(self.id, after, installed))

    def model_of(self, referral_id: UUID) -> CollaborationModel:
        """Return the model under which a referral asks; raise `ModelMissing` where it is not installed."""
        ref = self.case.permissions[referral_id].scope.model
        model = self.context.models.get(ref)
        if model is None:
            raise ModelMissing(ref)
        return model

    def confirmation(self, recorded_by: UUID, told_by: ToldBy | None = None) -> Confirmation:
        """Return that the actor confirms what somebody put on record.

        Raises `SecondEmployeeMissing` where it was the actor, `OwnMatter` where the actor is concerned.
        """
        actor, custody = self.context.actor, self.case.custody
        concerned = () if custody is None else (*custody.holders, custody.young_person_id)
        if actor.id in concerned:
            raise OwnMatter
        if actor.id == recorded_by:
            raise SecondEmployeeMissing
        return Confirmation(self.context.now, actor.id, actor.role, told_by)

    def calendar(self, referral_id: UUID | None = None) -> Calendar:
        """Return the calendar by which a referral's days count, or those of the case itself."""
        ref = self.case.model if referral_id is None else self.case.permissions[referral_id].scope.model
        return calendar_for(self.context.models.get(ref))
