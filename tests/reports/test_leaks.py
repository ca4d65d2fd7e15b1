import re

import pytest
from leak_rows import frame, row, run

from deepfake.studies.shortcuts import findings as shortcuts_findings


def test_a_leak_in_the_container_is_a_shortcut_for_certain():
    lines = shortcuts_findings.findings(
        frame(row("width", 0.97, "severe"), row("noise"), row("all", 0.97, "severe")), 0.6
    )
    assert "for certain (severe)" in lines[0] and "width 0.970" in lines[0]
    assert lines[1].startswith("**No leak") and "noise) reaches AUC 0.550 [0.450, 0.570]" in lines[1]


def test_a_leak_in_the_pixels_is_not_called_certain():
    lines = shortcuts_findings.findings(
        frame(row("width", 0.5), row("noise", 0.75, "moderate"), row("all", 0.75, "moderate")), 0.6
    )
    assert lines[0].startswith("**No leak") and "(moderate)" in lines[1]
    assert "certain" not in " ".join(lines)


@pytest.mark.parametrize(("severity", "told"), [("weak", True), ("none", False)])
def test_the_size_of_files_is_told_only_when_it_leaks(severity, told):
    lines = shortcuts_findings.findings(
        frame(row("width", 0.5), row("bytes", 0.65, severity), row("noise"), row("all")), 0.6
    )
    assert any("size of the files" in line for line in lines) == told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "not told from chance"),
        ({"auc_low": 0.52, "fold_low": 0.51}, "too little"),
        ({"auc_low": 0.52, "fold_low": 0.51, "auc": 0.61}, "among so many probes"),
    ],
)
def test_why_a_probe_is_no_leak(changes, words):
    lines = shortcuts_findings.findings(frame(row("width") | changes, row("noise", 0.5), row("all")), 0.6)
    assert words in lines[0]


@pytest.mark.parametrize(("severity", "words"), [("weak", "noise still"), ("none", "none does")])
def test_what_a_view_leaves_of_a_leak(severity, words):
    rows = frame(
        *(row("width", 0.5), row("noise", 0.8, "moderate"), row("all", 0.8, "moderate")),
        row("noise", 0.61, severity, subject="crop"),
        row("scale", 1.0, "severe", subject="crop"),
        row("framing", 0.5, subject="crop"),
        row("all", 0.61, "weak", subject="crop"),
    )
    line = next(line for line in shortcuts_findings.findings(rows, 0.6) if line.startswith("**crop**"))
    assert words in line
    assert "AUC 0.610 [0.580, 0.630] together: weak" in line and "AUC 1.000" in line


FILES = (row("width", 0.5), row("noise", 0.5), row("all", 0.5))


def view(*rows: dict) -> list[dict]:
    """The rows of a view that shows nothing else."""
    return [each | {"subject": "face"} for each in (*rows, row("scale", 0.5), row("all", 0.5))]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [row("framing", 0.95, "severe"), row("face_x", 0.6), row("face_y", 0.94, "severe")],
            r"AUC 0.950 \[0.920, 0.970\]; alone: face_y 0.940.*where the face stands in its square, what",
        ),
        (
            [row("framing", 0.7, "moderate"), row("face_cut", 0.61, "weak"), row("face_x", 0.62, "weak")],
            "where the face stands in its square and how tightly",
        ),
        (
            [row("framing", 0.65, "weak"), row("face_x", 0.6), row("face_y", 0.6)],
            r"\(weak\).* AUC 0.650 \[0.620, 0.670\]; none of it alone\.$",
        ),
        (
            [row("framing", 0.55), row("face_x", 0.55)],
            r"framing is no leak \(AUC 0.550 \[0.450, 0.570\]",
        ),
        ([row("framing", 0.5), row("face_x", 0.5)], "framing is no leak"),
    ],
)
def test_what_a_framing_shows_follows_from_what_leaks(rows, words):
    line = next(
        line for line in shortcuts_findings.findings(frame(*FILES, *view(*rows)), 0.6) if line.startswith("**face**")
    )
    assert re.search(words, line)
    assert ("for certain" in line) == (rows[0]["severity"] != "none")


def test_the_headline_names_the_worst_of_each_family_and_what_survives():
    rows = frame(
        *(row("width", 0.97, "severe"), row("sharpness", 0.6), row("noise", 0.99, "severe"), row("all", 1.0, "severe")),
        *view(row("framing", 0.95, "severe"), row("face_y", 0.99, "severe"), row("sharpness", 0.5)),
        *(each | {"subject": "crop"} for each in view(row("framing", 0.5), row("scale", 1.0, "severe"))),
    )
    text = shortcuts_findings.brief(rows, frame(run(), run(leak="files")))
    told = [
        "sharpness by noise (AUC 0.990 [0.960, 1.010], severe)",
        "geometry by width (AUC 0.970 [0.940, 0.990], severe)",
        "files; framing (AUC 0.950 [0.920, 0.970], severe)",
        "face; no ",
        "crop; ",
        "net follow the probe of crop (R² 0.30 [0.100, 0.600])",
        "AUC 0.600 [0.550, 0.600]",
    ]
    places = [text.index(part) for part in told]
    assert places == sorted(places)
    assert text.count("net") == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"r2_low": -0.1}, "net cannot be told to follow"),
        ({"matched_auc_low": 0.4}, "guessing"),
        ({"overlap": False}, "no overlap"),
    ],
)
def test_the_headline_says_what_runs_make_of_it(changes, words):
    text = shortcuts_findings.brief(frame(*FILES), frame(run(**changes)))
    assert "no family of features" in text and words in text


def test_sources_are_listed_from_the_easiest_on():
    rows = frame(row("width", 0.5), row("noise"), row("all"), row("insight", 0.6), row("text2img", 0.9, "severe"))
    assert "text2img AUC 0.900 [0.870, 0.920], insight AUC 0.600" in shortcuts_findings.findings(rows, 0.6)[-1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "explains 30%"),
        ({"r2_low": -0.1}, "can be told from 0"),
        ({}, "sees more than this leak"),
        ({"matched_auc_low": 0.49}, "not told from guessing"),
        ({"overlap": False, "matched_auc": float("nan"), "pairs": 3}, r"\(3 pairs\): \*\*no overlap\*\*"),
    ],
)
def test_what_is_said_of_a_detector_follows_from_its_figures(changes, words):
    assert re.search(words, shortcuts_findings.explained(frame(run(**changes)))[0])
