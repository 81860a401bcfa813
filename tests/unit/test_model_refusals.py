"""A collaboration model that is not sound is refused: every fault by its key, with advice."""

from pathlib import Path

import pytest

from contracts.model import ModelError, load_model, load_models
from contracts.toml_lines import Lines
from tests.examples_model import KERTEMINDE, edited_model


def refusal_of(path: Path) -> str:
    """Return the message about a model that cannot be used."""
    with pytest.raises(ModelError) as refused:
        load_model(path)
    return str(refused.value)


def line_of(path: Path, passage: str, nth: int = 1) -> int:
    """Return the line on which a passage stands for the nth time."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [number for number, line in enumerate(lines, start=1) if passage in line][nth - 1]


REFUSED = {
    "an unknown key names the nearest key": (
        "age_to = 17",
        "age_to = 17\nage_till = 17",
        ('target_group.age_till: is not known; did you mean "age_to"?',),
        "age_till = 17",
    ),
    "an unknown key at the top": (
        'country = "dk"\n',
        'country = "dk"\ncolour = "red"\n',
        ('colour: is not known; did you mean "country"?',),
        'colour = "red"',
    ),
    "a key that resembles nothing": (
        'country = "dk"\n',
        'country = "dk"\nx = "red"\n',
        ("x: is not known; known are id, version",),
        'x = "red"',
    ),
    "a key is missing": ("answer = 7\n", "", ("deadlines.answer: is missing; add it",), "[deadlines]"),
    "a translation is missing": (
        'text.nb = "Nettverk og relasjoner for barn, unge og familier"\n',
        "",
        ('purposes[2].text.nb: the translation "nb" is missing; write nb =',),
        'text.da = "Netværk og relationer',
    ),
    "a translation is blank": (
        'text.nb = "Mot betaling"',
        'text.nb = "  "',
        ("prices[3].text.nb: is '  '; write the words",),
        'text.nb = "  "',
    ),
    "a code stands twice": (
        'code = "one_to_one"',
        'code = "group"',
        ('formats[2].code: "group" stands twice',),
        None,
    ),
    "a language stands twice": (
        '["da", "nb", "en"]',
        '["da", "nb", "da"]',
        ('languages[3]: "da" stands twice',),
        "languages =",
    ),
    "a language that the product does not speak": (
        '["da", "nb", "en"]',
        '["da", "sv"]',
        ("languages[2]: is 'sv'; Input should be 'da', 'nb' or 'en'",),
        "languages =",
    ),
    "a purpose that does not exist": (
        '"networks", "ties"]\ntext.da = "Fritid"',
        '"networks", "tie"]\ntext.da = "Fritid"',
        ('themes[1].purposes[3]: "tie" is not among purposes; did you mean "ties"?',),
        '"tie"]',
    ),
    "a measure that does not exist": (
        'measures = ["mentor"]',
        'measures = ["skiing"]',
        ('themes[2].measures[1]: "skiing" is not among measures; known are leisure_activity, mentor',),
        '["skiing"]',
    ),
    "a reminder at the day of lapse": (
        "consent_remind = 5",
        "consent_remind = 20",
        ("deadlines.consent_remind: is 20, but consent_lapse is 20; it must be < consent_lapse",),
        "consent_remind = 20",
    ),
    "escalated before it is due": (
        "delete_escalate = 8",
        "delete_escalate = 4",
        ("deadlines.delete_confirm: is 5, but delete_escalate is 4",),
        "delete_confirm = 5",
    ),
    "a deadline shorter than its reminder": (
        "send = 3",
        "send = 2",
        ("deadlines.send: is 2, but a reminder comes 2 days before; it must be longer",),
        "send = 2",
    ),
    "a ladder out of order": (
        "leader_after = 5",
        "leader_after = 12",
        ("ladder.leader_after: is 12, but move_after is 10",),
        "leader_after = 12",
    ),
    "a deadline in words": (
        "answer = 7",
        'answer = "7"',
        ("deadlines.answer: is '7'; Input should be a valid integer",),
        "answer =",
    ),
    "a deadline of no days": (
        "meeting = 10",
        "meeting = 0",
        ("deadlines.meeting: is 0; Input should be greater",),
        "meeting =",
    ),
    "evaluations rarer than the law of the model": (
        "evaluation_days = 90",
        "evaluation_days = 20",
        ("rhythm.update_days: is 30, but evaluation_days is 20",),
        "update_days",
    ),
    "a day that no year has": (
        '"06-05", "12-24"',
        '"06-31", "12-24"',
        ("calendar.closed_days[1]: is '06-31'; no such day",),
        "closed_days",
    ),
    "a thirteenth month": (
        '"12-31"]',
        '"13-01"]',
        ("calendar.closed_days[3]: is '13-01'; no such day",),
        "closed_days",
    ),
    "a scale upside down": (
        "highest = 5",
        "highest = 0",
        ("dimensions[1].lowest: is 1, but highest is 0",),
        None,
    ),
    "a threshold beyond the scale": (
        "threshold = 0.5",
        "threshold = 5",
        ("dimensions[1].threshold: is 5; the scale allows 4 at most",),
        "threshold = 5",
    ),
    "a threshold without end": (
        "threshold = 0.5",
        "threshold = inf",
        ("dimensions[1].threshold: is inf",),
        "= inf",
    ),
    "a consent for longer than a year": (
        "months = 12",
        "months = 24",
        ("consent.months: is 24; Input should be less",),
        "months = 24",
    ),
    "an undefined quorum": (
        'quorum = "all_holders"',
        'quorum = "one_holder"',
        ("consent.rules[1].quorum: is 'one_holder'; Input should be 'all_holders'",),
        "one_holder",
    ),
    "own before young": (
        "own_from = 18",
        "own_from = 14",
        ("consent.rules[1].young_person_from: is 15, but own_from is 14",),
        "young_person_from = 15",
    ),
    "nothing to show the young person": (
        'audience = "young_person"',
        'audience = "child"',
        ("consent.texts: nothing is shown to a young_person",),
        None,
    ),
    "one reason for two answers": (
        'fails.code = "age_outside"',
        'fails.code = "age_within"',
        ('eligibility[1].fails.code: "age_within" stands twice',),
        'fails.code = "age_within"',
    ),
    "an undefined side": (
        'side = "organisation"',
        'side = "state"',
        ("decline_reasons[1].side: is 'state'",),
        '"state"',
    ),
    "a municipality by name": (
        '"0440"',
        '"Kerteminde"',
        ("municipality: is 'Kerteminde'; a municipality's official code has four digits",),
        "municipality =",
    ),
    "a code with a capital letter": (
        'code = "leisure"\nmeasures',
        'code = "Leisure"\nmeasures',
        ("themes[1].code: is 'Leisure'; a code is small letters",),
        '"Leisure"',
    ),
    "a day written the other way": (
        '"12-31"]',
        '"31/12"]',
        ("calendar.closed_days[3]: is '31/12'; write month and day, such as 12-24",),
        "closed_days",
    ),
    "a country by name": (
        '"dk"',
        '"Denmark"',
        ("country: is 'Denmark'; a country is two small",),
        '"Denmark"',
    ),
    "a clock that hangs nowhere": (
        '"Europe/Copenhagen"',
        '"Europe/Kerteminde"',
        ("calendar.timezone: is 'Europe/Kerteminde'; no such time zone",),
        "timezone",
    ),
    "a clock outside the database": (
        '"Europe/Copenhagen"',
        '"../../etc/passwd"',
        ("calendar.timezone: is '../../etc/passwd'; no such time zone",),
        "timezone",
    ),
    "a calendar in small letters": (
        'holidays = "DK"',
        'holidays = "dk"',
        ("calendar.holidays: is 'dk'; a calendar is two capital letters",),
        "holidays",
    ),
    "an age out of reach": ("age_to = 17", "age_to = 170", ("target_group.age_to: is 170",), "age_to"),
    "the target group upside down": (
        "age_from = 0",
        "age_from = 18",
        ("target_group.age_from: is 18, but age_to is 17",),
        "age_from",
    ),
}


@pytest.mark.parametrize(("passage", "other", "messages", "at"), REFUSED.values(), ids=REFUSED.keys())
def test_an_unsound_model_is_refused_with_path_and_advice(
    tmp_path: Path, passage: str, other: str, messages: tuple[str, ...], at: str | None
) -> None:
    """The one who wrote the model reads where it is wrong and what would be right."""
    path = edited_model(tmp_path, passage, other)

    refusal = refusal_of(path)

    assert len(refusal.split("\n")) == 1
    assert all(words in refusal for words in messages), refusal
    if at:
        assert refusal.startswith(f"{path}:{line_of(path, at)}: "), refusal


def test_a_second_rule_from_the_same_day_is_refused(tmp_path: Path) -> None:
    """It must be certain which rule is in force on a day."""
    text = KERTEMINDE.read_text(encoding="utf-8")
    rule = text[text.index("[[consent.rules]]") : text.index("[[consent.texts]]")]
    path = edited_model(tmp_path, rule, rule + rule.replace("dk_2024", "dk_again"))

    refusal = refusal_of(path)

    assert (
        "consent.rules[2].valid_from: is 2024-01-01, as another rule's; only one rule can begin on a day"
        in refusal
    )
    assert f":{line_of(path, 'valid_from', 2)}: " in refusal


def test_all_faults_are_listed_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    """All faults are reported in one run."""
    path = edited_model(tmp_path, 'country = "dk"', 'country = "Denmark"')
    text = path.read_text(encoding="utf-8")
    for passage, other in (
        ("answer = 7", "anwser = 7"),
        ("consent_remind = 5", "consent_remind = 21"),
        ('"voice"', '"ties"'),
    ):
        text = text.replace(passage, other, 1)
    path.write_text(text, encoding="utf-8")

    keys = [line.split(": ")[1] for line in refusal_of(path).split("\n")]

    assert keys == [
        "country",
        "purposes[8].code",
        "deadlines.answer",
        "deadlines.consent_remind",
        "deadlines.anwser",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        "purposes = 3",
        "deadlines = [1]",
        "themes = [{purposes = 1}, 2]",
        "consent = {rules = [{valid_from = [1]}]}",
    ],
)
def test_a_part_of_the_wrong_shape_is_a_fault_and_no_crash(tmp_path: Path, wrong: str) -> None:
    """Whatever stands in the file, the answer is a list of faults."""
    path = tmp_path / "odd.toml"
    path.write_text(wrong, encoding="utf-8")

    refusal = refusal_of(path)

    assert f"{path}:1: {wrong.partition(' ')[0]}" in refusal
    assert f"{path}:1: id: is missing" in refusal


def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    """A slip of the pen is shown where it stands."""
    path = tmp_path / "broken.toml"
    path.write_text('id = "x"\nversion = = 1\n', encoding="utf-8")

    assert refusal_of(path).startswith(f"{path}:2: the file: cannot be read")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Letters such as ø must be written in UTF-8."""
    path = tmp_path / "latin.toml"
    path.write_bytes('name = "Kerteminde på øen"'.encode("latin-1"))

    assert "write TOML 1.0 in UTF-8" in refusal_of(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A wrong path is reported plainly."""
    assert "No such file" in refusal_of(tmp_path / "nowhere.toml")


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    """Without a model no case could be worked on."""
    with pytest.raises(ModelError, match="no collaboration model is here"):
        load_models(tmp_path)


def test_two_files_cannot_be_the_same_version(tmp_path: Path) -> None:
    """A version is one text."""
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_bytes(KERTEMINDE.read_bytes())

    with pytest.raises(ModelError, match=r"b\.toml.*kerteminde/1 stands in two files"):
        load_models(tmp_path)


def test_the_faults_of_all_files_are_listed(tmp_path: Path) -> None:
    """A folder is repaired in one go."""
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text("version = ", encoding="utf-8")

    with pytest.raises(ModelError) as refused:
        load_models(tmp_path)

    assert [fault.file.name for fault in refused.value.faults] == ["a.toml", "b.toml"]


def test_lines_are_found_through_nested_lists_and_long_texts() -> None:
    """A line inside a long text is neither a table nor a key."""
    text = '[[a]]\nx = 1\n[[a]]\n[[a.b]]\ny = """\n[[a]]\ny = 2\n"""\nz.w = 3\n["q r".s]\nt = 1\n'
    lines = Lines(text)

    assert lines.of(("a", 0, "x")) == 2
    assert lines.of(("a", 1, "b", 0, "y")) == 5
    assert lines.of(("a", 1, "b", 0, "z", "w")) == 9
    assert lines.of(("a", 1, "b", 0, "unknown")) == 4
    assert lines.of(("q r", "s", "t")) == 11
    assert lines.of(("nowhere",)) == 1
