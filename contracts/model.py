"""The collaboration model: the rules that a municipality and its organisations agreed to work by, as data."""

import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from contracts.event import Code, Tenant
from contracts.model_coherence import cross_faults
from contracts.model_faults import Fault, faults_of, syntax_fault
from contracts.model_parts import (
    Association,
    Calendar,
    ConsentTerms,
    Criterion,
    Deadlines,
    Dimension,
    Fact,
    Ladder,
    Language,
    Part,
    Reason,
    Rhythm,
    TargetGroup,
    Text,
    Theme,
    Word,
)

_Country = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$"), Field(description="a country such as dk")]


class CollaborationModel(Part):
    """One version of one model; a version that is followed is never edited, a new one is a new file."""

    id: Code
    version: Annotated[int, Field(ge=1)]
    name: Text
    country: _Country
    municipality: Tenant
    languages: Annotated[tuple[Language, ...], Field(min_length=1, description="the first is the usual one")]
    purposes: Annotated[tuple[Word, ...], Field(min_length=1)]
    target_group: TargetGroup
    eligibility: tuple[Criterion, ...]
    statutory_channel: Text
    measures: Annotated[tuple[Word, ...], Field(min_length=1)]
    themes: Annotated[tuple[Theme, ...], Field(min_length=1)]
    formats: Annotated[tuple[Word, ...], Field(min_length=1)]
    prices: Annotated[tuple[Word, ...], Field(min_length=1)]
    departments: tuple[Word, ...]
    public_help: tuple[Word, ...]
    facts: Annotated[tuple[Fact, ...], Field(min_length=1)]
    consent: ConsentTerms
    deadlines: Deadlines
    ladder: Ladder
    rhythm: Rhythm
    calendar: Calendar
    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1)]
    decline_reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    recall_reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    end_reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    associations: tuple[Association, ...]

    @property
    def ref(self) -> str:
        """Return the reference to this version: `kerteminde/1`."""
        return f"{self.id}/{self.version}"

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 digest of the model's content, in hexadecimal.

        Layout, comments and the order of keys do not count; the order of lists does. Keys that the file
        leaves out do not count either, so that a key added to the format later leaves old models as they are.
        """
        content = self.model_dump(mode="json", exclude_unset=True)
        return sha256(
            json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()


class ModelError(Exception):
    """A collaboration model cannot be used; every fault is named with its file, line and key."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def model_folder() -> Path:
    """Return the folder of the models that come with the product."""
    return Path(__file__).resolve().parent.parent / "models"


def load_model(path: Path) -> CollaborationModel:
    """Read one model.

    Raises:
        ModelError: the file cannot be read or does not hold a sound model; all faults are listed.

    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as unreadable:
        raise ModelError((syntax_fault(path, unreadable),)) from unreadable
    faults = cross_faults(path, text, document)
    try:
        # by way of JSON, where a list may become a tuple and yet "1" does not become 1
        model = CollaborationModel.model_validate_json(json.dumps(document, default=str))
    except ValidationError as invalid:
        shape = faults_of(path, text, CollaborationModel, invalid)
        raise ModelError(tuple(sorted({*shape, *faults}))) from invalid
    if faults:
        raise ModelError(tuple(sorted(faults)))
    return model


def load_models(folder: Path) -> Mapping[str, CollaborationModel]:
    """Read every `*.toml` of a folder; the key is the model's `ref`.

    Raises:
        ModelError: no model is there, one is not sound, or two call themselves the same.

    """
    models: dict[str, CollaborationModel] = {}
    faults: list[Fault] = []
    paths = sorted(folder.glob("*.toml"))
    for path in paths:
        try:
            model = load_model(path)
        except ModelError as error:
            faults.extend(error.faults)
            continue
        if model.ref in models:
            faults.append(
                Fault(path, 1, "version", f"{model.ref} stands in two files", "give it a version of its own")
            )
        models[model.ref] = model
    if not paths:
        faults.append(
            Fault(folder, 1, "", "no collaboration model is here", "put a model's *.toml file there")
        )
    if faults:
        raise ModelError(tuple(faults))
    return MappingProxyType(models)
