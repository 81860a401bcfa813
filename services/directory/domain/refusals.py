"""Refusals of the directory: which rule is broken, and what to do about it."""

from services.kernel.errors import Refused


class ModelUnknown(Refused):
    """No such version of a model is installed here: choose one that is."""


class ModelMissing(Refused):
    """The municipality follows no collaboration model yet: adopt one first."""


class CodeUnknown(Refused):
    """The municipality's model does not know this word: choose one that it does."""


class TermsOutdated(Refused):
    """These are not the terms of the model that the municipality follows: accept those."""


class DeclarationMissing(Refused):
    """The child-protection declaration has run out: give one that is valid."""


class AgesOutside(Refused):
    """The offer is for no child of the model's target group: correct its ages."""


class DepartmentUnknown(Refused):
    """Department not known here: leave the id out and one is made."""


class OrganisationUnknown(Refused):
    """Organisation not known here: leave the id out and one is made."""


class OrganisationMissing(Refused):
    """The organisation does not take part: let it join first."""
