"""Findings: every verdict gives the right answer to its question, and what is written is read."""

import json
from typing import get_args

import pytest
from pydantic import ValidationError

from deepfake.errors import InputError
from deepfake.evaluation import verdicts
from deepfake.project import Project, paths
from deepfake.reports import findings
from deepfake.reports.findings import Finding
from deepfake.studies.phases import findings as conclusions
from deepfake.studies.summary import page as summary_page

pytest_plugins = ["reported_study"]
ROW = {"difference": 0.1, "low": 0.05, "high": 0.15, "p": 0.01, "reason": "", "samples": 10, "groups": 5, "repeats": 2}


def test_every_verdict_has_an_answer_and_every_word_of_the_rules_is_one():
    assert set(findings.ANSWERS) == set(get_args(findings.Verdict))
    assert set(get_args(verdicts.Word)) <= set(findings.ANSWERS)


@pytest.mark.parametrize(
    ("word", "plain", "raised", "fell"),
    [
        # is it better; is it a shortcut, as a better AUC shows; is it one, as a fall shows
        ("better", "yes", "yes", "no"),
        ("worse", "no, worse", "no", "yes"),
        ("equivalent", "no difference", "no", "no"),
        ("undecided", "undecided", "undecided", "undecided"),
    ],
)
def test_a_verdict_answers_each_kind_of_question(word, plain, raised, fell):
    told = [
        findings.tested("x", "Is it?", ROW | {"verdict": word}, words)
        for words in (None, conclusions._AS_SHORTCUT, conclusions._LOST)
    ]
    assert [one.answer for one in told] == [plain, raised, fell]
    assert told[0].figures == "ΔAUC +0.100 [+0.050, +0.150]" and told[0].size == "10 (5 groups) × 2"


def test_what_is_undecided_for_a_reason_says_it_and_a_note_of_its_own_goes_first():
    row = ROW | {"verdict": "undecided", "reason": "2 groups", "low": float("nan"), "high": None, "p": float("nan")}
    told = findings.tested("x", "Is it?", row, note="")
    assert told.note == "Undecided: 2 groups." and (told.low, told.high, told.p) == (None, None, None)
    assert told.figures == "ΔAUC +0.100"
    assert findings.tested("x", "Is it?", row, note="Refused.").note == "Refused."
    assert findings.tested("x", "Is it?", row | {"verdict": "better"}).note == ""


@pytest.mark.parametrize("field", ["question", "note"])
def test_a_sentence_of_more_than_25_words_is_refused(field):
    values = {"id": "x", "question": "Is it?", "verdict": "better"}
    assert Finding(**values | {field: "word " * 25})
    with pytest.raises(ValidationError, match="26 words, at most 25 are read"):
        Finding(**values | {field: "word " * 26})


def test_what_is_written_is_read_and_ids_are_unique(tmp_path):
    first = Finding(id="a", question="Is it?", verdict="better", effect=0.123456789, low=0.1, high=0.2, p=0.01)
    second = Finding(id="a.b", question="And this?", verdict="not_run", note="Nobody ran it.", key=True)
    with Project(tmp_path).entered():
        with pytest.raises(InputError, match=r"phase1\.json: not found; run deepfake phase1"):
            findings.read("phase1")
        findings.write("phase1", [first, second])
        known = findings.read("phase1")
        assert known["a"] == first.model_copy(update={"effect": 0.123457}) and known["a.b"] == second
        assert known.key == [second] and known.below("a") == list(known.values()) and known.below("a.") == []
        with pytest.raises(ValueError, match="findings of the same id"):
            findings.write("phase1", [first, first])
        paths().findings("phase1").write_text(json.dumps([{"id": "a"}]))
        with pytest.raises(InputError, match="not findings of this version"):
            findings.read("phase1")


# --- what the phases conclude of a study with planted effects


@pytest.fixture
def there(reported, monkeypatch):
    monkeypatch.chdir(reported[0])
    return reported[1]


def test_planted_effects_have_their_answers(there):
    found = findings.read("phase2")
    assert found["geometry.shape"].answer == "yes"  # a plain resize raises the AUC
    assert found["geometry.reliance"].answer == "yes"  # which falls once shapes are equal
    assert found["geometry.letterbox"].answer == "yes"
    # the manifest's own: `write_run` makes held-out sources three times as hard
    assert found["sources"].answer == "yes"
    assert findings.read("phase1")["chance.backbone_low"].answer == "yes"
    assert findings.read("phase1")["model.backbone_low"].answer == "yes"


def test_every_planned_contrast_is_a_finding(there):
    from deepfake import config

    for phase, prefixes in {
        "phase1": {"phase1": "model"},
        "phase2": {
            "phase2a_colour": "colour",
            "phase2b": "resolution",
            "phase2c": "face_crop",
            "phase2d": "augmentation",
            "phase2e": "augmentation_of_faces",
        },
        "phase3": {"phase3": "candidate"},
        "custom": {"custom": "custom"},
    }.items():
        found = findings.read(phase)
        for table, prefix in prefixes.items():
            planned = [name for name, baselines in config.table(there, table).items() for _ in baselines]
            assert [one.id for one in found.below(prefix)] == [f"{prefix}.{name}" for name in planned], table
    sources = {"source.text2img", "source.inpainting", "source.insight"}
    assert sources <= set(findings.read("phase2"))


def test_no_study_has_more_key_findings_than_planned(there):
    for name, planned in summary_page.KEY.items():
        if paths().findings(name).exists():
            key = findings.read(name).key
            assert 1 <= len(key) <= planned, name
    assert sum(summary_page.KEY.values()) <= 14
