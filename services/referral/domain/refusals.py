"""Refusals of the service: the first line of each is the sentence that a person reads."""

from services.kernel.errors import Refused


class ModelMissing(Refused):
    """The municipality has not adopted a collaboration model yet."""


class CaseExists(Refused):
    """A case with this id has been opened before."""


class CodeUnknown(Refused):
    """The collaboration model does not know this word."""


class ViewMissing(Refused):
    """Write down the view that was heard, or why it was not heard."""


class ViewsMissing(Refused):
    """The child's and the family's own view must be noted before anything is planned."""


class AnswerMissing(Refused):
    """A criterion of the collaboration model has not been answered."""


class CriterionReckoned(Refused):
    """This criterion is not answered by hand, but reckoned from what the case says: leave its answer out."""


class JudgementMissing(Refused):
    """Write down how you judge that volunteers can help the child or the family."""


class EligibilityMissing(Refused):
    """It has not been assessed whether the case is within the model's target group."""


class NotEligible(Refused):
    """The case does not meet the collaboration model's criteria: the reasons are on record."""


class ChildErased(Refused):
    """The child's data have been erased, so nothing can be decided from them."""


class PublicHelpMissing(Refused):
    """Volunteers never replace public help: name the help that goes on, and the department behind it."""


class DepartmentUnknown(Refused):
    """The department behind the public help is none of this municipality: choose one that takes part."""


class ChildUnknown(Refused):
    """Child not known here: leave the id out and one is made."""


class PurposeMissing(Refused):
    """Name at least one purpose of the collaboration model."""


class OfferUnknown(Refused):
    """This offer is not published by this organisation."""


class OfferMismatch(Refused):
    """The offer does not cover the need: its ages, its area or its theme are others."""


class OrganisationNotJoined(Refused):
    """The organisation does not take part in the collaboration."""


class DeclarationExpired(Refused):
    """The organisation's child-protection declaration is no longer current."""


class ConsentMissing(Refused):
    """There is no valid consent that covers this organisation, this purpose and these facts."""


class NoPlaceFree(Refused):
    """The offer has no free place."""


class StillOpen(Refused):
    """A referral of this case is still open: close, recall or finish it first."""
