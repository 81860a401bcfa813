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


class DepartmentMissing(Refused):
    """The municipality has no such department: choose one of its departments."""


class PositionIncomplete(Refused):
    """This role is held in one place: name the department, the organisation or the person that it needs."""


class RoleNotForMachines(Refused):
    """A program cannot have this role: choose another."""


class RoleHere(Refused):
    """This account has the role there already: renew it instead."""


class OwnRole(Refused):
    """Nobody gives themselves a role: ask somebody else who may."""


class LastAdministrator(Refused):
    """This is the municipality's last administrator: give somebody else the role first."""


class DaysReversed(Refused):
    """The last day lies before the first, or has passed: choose a later one."""


class AccountMissing(Refused):
    """There is no such account in this municipality: choose one that is on the list."""


class IdentityTaken(Refused):
    """This identity belongs to another account: end that one's role first."""


class PersonBoundAlready(Refused):
    """This person can sign in already: end that first, if it is not them."""


class RoleOfAnother(Refused):
    """The case names this person in another role: invite them in that one."""


class CustodyUnconfirmed(Refused):
    """A second employee must first confirm who holds parental responsibility, as it is on record now."""


class CodeMistyped(Refused):
    """There is a slip in the code: compare it with the invitation, character by character."""


class CodeWrong(Refused):
    """No invitation has this code: compare it with the invitation, or ask whoever invited you."""


class CodeUsed(Refused):
    """This code was used already: sign in without it, or ask for a new invitation."""


class CodeExpired(Refused):
    """This code was not used in time: ask for a new invitation."""


class CodeRevoked(Refused):
    """This invitation was taken back: ask whoever invited you."""


class TooManyWrongCodes(Refused):
    """Too many wrong codes were given: wait before you try again."""
