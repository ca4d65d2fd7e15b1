import pandas as pd
import pytest

from deepfake.studies.shortcuts import findings


def probe(family: str, verdict: str, auc: float, level: str = "family", subject: str = "files") -> dict:
    ends = {"auc": auc, "auc_low": auc - 0.05, "auc_high": auc + 0.05, "p_holm": 0.01}
    return {"subject": subject, "level": level, "name": family, "family": family, "verdict": verdict} | ends


def beyond(**changes) -> dict:
    row = {"experiment": "run", "leak": "crop_low", "overlap": True, "pairs": 40, "beyond": "above_chance"}
    figures = {"matched_auc": 0.7, "matched_auc_low": 0.6, "matched_auc_high": 0.8, "matched_p": 0.01, "groups": 9}
    return row | figures | changes


def answers(rows: list[dict], runs: list[dict]) -> dict:
    columns = list(beyond())
    found = findings.of(pd.DataFrame(rows), pd.DataFrame(runs, columns=columns), (100, 9))
    return {one.id: one for one in found}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("no_shortcut", "shortcut"), "shortcut"),
        (("undecided", "shortcut"), "shortcut"),
        (("no_shortcut", "undecided"), "undecided"),
        (("no_shortcut", "no_shortcut"), "no_shortcut"),
    ],
)
def test_one_shortcut_is_enough_and_none_needs_all(verdicts, expected):
    rows = [probe("compression", verdicts[0], 0.9), probe("metadata", verdicts[1], 0.7)]
    found = answers(rows, [])["storage.files"]
    assert found.verdict == expected
    decisive = 0.9 if verdicts[0] == expected else 0.7
    assert found.effect == decisive


def test_a_family_is_judged_as_a_whole_and_single_features_only_without_one():
    rows = [
        probe("sharpness", "no_shortcut", 0.5),
        probe("sharpness", "shortcut", 0.8, level="feature"),
        probe("geometry", "shortcut", 1.0, level="feature"),
        probe("geometry", "shortcut", 1.0, level="feature", subject="crop_low"),
    ]
    found = answers(rows, [])
    assert {id_: one.verdict for id_, one in found.items()} == {
        "geometry.files": "shortcut",
        "pixels.files": "no_shortcut",
    }, "what resizing a view takes is not shown by it"


def test_without_overlap_a_detector_is_undecided_with_the_reason():
    row = beyond(overlap=False, pairs=0, beyond="", matched_auc=float("nan"), matched_p=float("nan"))
    found = answers([probe("framing", "shortcut", 0.9)], [beyond(leak="files"), row])
    assert found["beyond.run.files"].verdict == "above_chance" and not found["beyond.run.files"].key
    assert found["beyond.run.crop_low"].verdict == "undecided" and found["beyond.run.crop_low"].key
    assert "Too few pairs" in found["beyond.run.crop_low"].note
