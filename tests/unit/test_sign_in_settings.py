"""The setting of providers: which are taken, what their levels mean, and what is refused with a reason."""

import json
from typing import Any

import pytest

from services.kernel.settings import SettingsFault, read_settings
from services.kernel.sign_in_settings import ProviderSettings

ONE: dict[str, Any] = {
    "issuer": "https://sign-in.test",
    "name": "MitID",
    "client_id": "samspil",
    "key": "/run/secrets/client.json",
    "municipalities": ["0440"],
    "people": ["citizen"],
}
ID_PORTEN = {"idporten-loa-substantial": "substantial", "idporten-loa-high": "high"}


def provider(**more: Any) -> ProviderSettings:
    """Return one provider, but for the changes."""
    return ProviderSettings.model_validate({**ONE, **more})


def test_a_list_of_providers_is_read() -> None:
    """From JSON, as an environment variable or a file holds it."""
    (found,) = read_settings(sign_in=json.dumps([ONE])).sign_in

    assert (found.issuer, found.claims.subject, found.scope) == ("https://sign-in.test", "sub", "openid")


REFUSED: dict[str, tuple[object, str]] = {
    "no JSON": ("[", "a JSON list of providers"),
    "the same issuer twice": (json.dumps([ONE, ONE]), "each issuer is listed once"),
    "no credential": (json.dumps([{**ONE, "key": None}]), "name `key` or `secret`"),
    "two credentials": (json.dumps([{**ONE, "secret": "/run/secrets/x"}]), "name `key` or `secret`"),
    "no municipality": (json.dumps([{**ONE, "municipalities": []}]), "at least 1 item"),
    "for nobody": (json.dumps([{**ONE, "people": []}]), "at least 1 item"),
    "another scope": (json.dumps([{**ONE, "scope": "profile"}]), "`scope` holds `openid`"),
    "a misspelt field": (json.dumps([{**ONE, "client": "x"}]), "Extra inputs"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_provider_that_cannot_be_used_is_refused(what: str) -> None:
    """The sentence says what to do."""
    value, said = REFUSED[what]

    with pytest.raises(SettingsFault, match=said):
        read_settings(sign_in=value)


@pytest.mark.parametrize(
    ("stated", "level"),
    [
        ("idporten-loa-high", "high"),
        (["idporten-loa-substantial", "idporten-loa-high"], "high"),
        (["other", "idporten-loa-substantial"], "substantial"),
        ("high", None),
        ([], None),
        (7, None),
        (None, None),
    ],
)
def test_a_stated_level_is_what_the_settings_say(stated: object, level: str | None) -> None:
    """The highest of several; what is not listed is none, however it is called."""
    assert provider(assurance=ID_PORTEN).level_of(stated) == level


def test_a_level_is_asked_for_in_the_provider_s_words() -> None:
    """A higher one is taken too, so it is asked for as well."""
    found = provider(assurance=ID_PORTEN)

    assert found.asking_for("high") == "idporten-loa-high"
    assert found.asking_for("substantial") == "idporten-loa-substantial idporten-loa-high"
