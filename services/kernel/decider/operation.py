"""Operations: what is declared of a service's HTTP calls besides their routes; refused is the default."""

from msgspec import Struct


class Operation(Struct, frozen=True):
    """Declaration of one call: its id for generated clients, and the roles that may call it at all.

    Whether an actor in one of these roles may, in this case, is decided by `domain/access.py`. `if_match`
    says that the call is refused without the version that was seen. `location` is the address of what the
    call makes, with `{id}`, `{made}` and the names of the path.
    """

    id: str
    roles: tuple[str, ...]
    if_match: bool = False
    location: str = ""
