import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepfake import tables
from deepfake.datasets.external import predictions as external_predictions
from deepfake.datasets.external.options import Options
from deepfake.errors import InputError


@pytest.fixture
def read(tmp_path):
    def read(content: str | bytes, **options) -> external_predictions.ExternalPredictions:
        path = tmp_path / "results.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return external_predictions.read(path, Options(**options))

    return read


WORDS = [
    ("label,pred\nspoof,spoof\nbona-fide,spoof\nspoof,bona-fide\nbona-fide,bona-fide\n", "label,pred"),
    ("true,pred\nfake,fake\nreal,fake\nfake,real\nreal,real\n", "true,pred"),
    ("y_true,y_pred\n1,1\n0,1\n1,0\n0,0\n", "numbers"),
    ("y_true,y_pred\n1.0,1\n0.0,1\n1.0,0\n0.0,0\n", "one as a float"),
    ("target,prediction\n1,1\n-1,1\n1,-1\n-1,-1\n", "plus and minus"),
    ("label;pred\nspoof;spoof\nbona-fide;spoof\nspoof;bona-fide\nbona-fide;bona-fide\n", "semicolons"),
    ("label\tpred\nspoof\tspoof\nbona-fide\tspoof\nspoof\tbona-fide\nbona-fide\tbona-fide\n", "tabs"),
    ("\ufefflabel,pred\r\nspoof,spoof\r\nbona-fide,spoof\r\nspoof,bona-fide\r\nbona-fide,bona-fide\r\n", "excel"),
    ('"label","pred"\n"spoof","spoof"\n"bona-fide","spoof"\n"spoof","bona-fide"\n"bona-fide","bona-fide"', "quotes"),
    (" Label , Pred \n Spoof, spoof \nBONA-FIDE,Spoof\nspoof, Bona_Fide\nbona fide,bonafide\n", "capitals and blanks"),
    ("\nlabel,pred\n\nspoof,spoof\nbona-fide,spoof\n\nspoof,bona-fide\nbona-fide,bona-fide\n\n", "blank lines"),
    ("label,pred\nspoof,1\nbona-fide,1\nspoof,0\nbona-fide,0\n", "numbers for words"),
    ("label,pred\n1,True\n0,True\n1,False\n0,False\n", "answers for numbers"),
    ("label,pred\nfake,fake\ntrue,fake\nfake,true\ntrue,true\n", "true is not fake"),
    ("label,pred\ndeepfake,yes\noriginal,yes\nswapped,no\ngenuine,no\n", "several words for one class"),
    (",label,pred\n0,spoof,spoof\n1,bona-fide,spoof\n2,spoof,bona-fide\n3,bona-fide,bona-fide\n", "with an index"),
    ("label,p_fake\n1,.9\n0,.8\n1,.1\n0,0\n", "probabilities of fake"),
    ("label,p_real\n1,.1\n0,.2\n1,.9\n0,1\n", "probabilities of real"),
    ("sep=;\nlabel;p_fake\n1;,9\n0;,8\n1;,1\n0;0\n", "a spreadsheet's commas"),
    ("# made by a script\nlabel|pred\n1|1\n0|1\n# the second half\n1|0\n0|0\n", "pipes and comments"),
    ("a spoof .9\nb bonafide .8\nc spoof .1\nd bonafide .3\n", "no header"),
    ("label,real,fake\n1,.1,.9\n0,.2,.8\n1,.9,.1\n0,1,0\n", "a column for each class"),
    ("is_fake,pred\nTrue,1\nFalse,1\nTrue,0\nFalse,0\n", "a truth called after the class"),
    ("bonafide,p_fake\n0,.9\n1,.8\n0,.1\n1,0\n", "1 is real"),
    ("label,pred\n1,1\n0,1\n1,0\n0,0\n".encode("utf-16"), "utf-16"),
    ("label,pred\n1,1\n0,1\n1,0\n0,0\n".encode("utf-16-le"), "utf-16 without a mark"),
    ("label,p_0\n1,.1\n0,.2\n1,.9\n0,1\n", "the class in numbers"),
]


@pytest.mark.parametrize("content", [content for content, _ in WORDS], ids=[name for _, name in WORDS])
def test_files_are_understood_as_they_are_written(read, content):
    found = read(content)
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.called.tolist() == [True, True, False, False]
    if found.scores is not None:
        assert found.scores[:2].min() > found.scores[2:].max()


def test_what_was_taken_is_told(read):
    taken = read("File;Truth;P_real;Speaker\na;fake;.1;x\nb;real;.5;x\nc;fake;.51;y\n").taken
    assert taken == external_predictions.Taken(
        separator="semicolon",
        header=True,
        columns={"truth": "Truth", "score": "P_real", "group": "Speaker", "id": "File"},
        named=(),
        key=None,
        unused=0,
        rows=3,
        missing=0,
        aggregate=None,
        positive=("fake",),
        negative=("real",),
        positive_rule="a known word",
        higher="negative",
        higher_rule="its name",
        scale="probability",
        scale_rule="all lie between 0 and 1",
        threshold=0.5,
        threshold_rule="probability: all lie between 0 and 1",
    )


@pytest.mark.parametrize(
    ("calls", "positive", "negative", "rule"),
    [
        (("1", "0", "1.0"), ("1", "1.0"), ("0",), "known words"),
        (("Spoof", "bonafide", "Spoof"), ("Spoof",), ("bonafide",), "words of the truth"),
        (("no", "no", "no"), (), ("no",), "known words"),
    ],
)
def test_how_calls_were_understood_is_told(read, calls, positive, negative, rule):
    rows = zip(("spoof", "bona-fide", "spoof"), calls, strict=True)
    taken = read("label,pred\n" + "".join(f"{label},{call}\n" for label, call in rows)).taken
    assert (taken.called_positive, taken.called_negative, taken.called_rule) == (positive, negative, rule)


def test_a_score_that_falls_is_turned_without_rounding(read):
    found = read("label,p_real\n1,1e-20\n0,2e-20\n1,.5\n0,.6\n")
    assert found.scores.tolist() == [-1e-20, -2e-20, -0.5, -0.6]
    assert found.called.tolist() == [True, True, True, False]


def test_columns_and_labels_may_be_named(read):
    content = "a,b,c,d\ncat,dog,0.1,x\ndog,dog,0.2,x\ncat,cat,0.7,y\n"
    found = read(content, truth="a", pred="B", score="c", group="d", positive=("CAT",))
    assert found.labels.tolist() == [1, 0, 1]
    assert found.called.tolist() == [False, False, True]
    assert found.scores.tolist() == [0.1, 0.2, 0.7]
    assert found.groups.tolist() == [0, 0, 1]
    assert found.taken.named == ("truth", "pred", "score", "group")
    assert (found.taken.positive, found.taken.negative, found.taken.positive_rule) == (("cat",), ("dog",), "as named")


def test_the_positive_class_may_be_the_real_one(read):
    found = read("label,pred,p_fake\nreal,1,.1\nfake,0,.9\n", positive=("real",))
    assert found.labels.tolist() == [1, 0]
    assert found.called.tolist() == [True, False]
    assert found.scores.tolist() == [-0.1, -0.9]
    assert read("label,pred\n0,fake\n1,real\n", positive=("0",)).labels.tolist() == [1, 0]
    assert read("label,pred\nreal,bonafide\nfake,spoof\n", positive=("real",)).called.tolist() == [True, False]


@pytest.mark.parametrize(
    ("scores", "threshold", "called", "rule"),
    [
        ((0.5, 0.49, 1), None, (1, 0, 1), "probability: all lie between 0 and 1"),
        ((50, 49.9, 100), None, (1, 0, 1), "percent: all lie between 0 and 100"),
        (("50%", "4%", "7%"), None, (1, 0, 0), "percent: with a percent sign"),
        ((0.5, 0.49, 1), 0.49, (1, 1, 1), "as named"),
        ((0.5, 0.49, 1), 0.0, (1, 1, 1), "as named"),
    ],
)
def test_scores_are_cut_at_a_threshold(read, scores, threshold, called, rule):
    labels = (1, 0, 1)
    content = "".join(f"{label},{score}\n" for label, score in zip(labels, scores, strict=True))
    found = read(f"label,score\n{content}", threshold=threshold)
    assert tuple(found.called) == called
    assert found.taken.threshold_rule == rule


def test_a_threshold_counts_more_than_a_column_of_calls_that_nobody_named(read):
    content = "label,pred,score\n1,0,.9\n0,1,.1\n"
    assert read(content).called.tolist() == [False, True]
    assert read(content, threshold=0.3).called.tolist() == [True, False]


def test_a_constant_call_is_fine(read):
    assert not read("label,pred\nspoof,bona-fide\nbona-fide,bona-fide\n").called.any()
    assert read("label,pred\nspoof,true\nbona-fide,true\n").called.all()


GOOD = "file,label,pred\na,1,1\nb,0,1\n"
MISTAKES = [
    ("", {}, "the file is empty"),
    ("\n\n", {}, "the file is empty"),
    ("label,pred\n", {}, "no rows below the header"),
    ("label,pred\n1,1\nfoo,0\n", {}, r"column 'label': unknown labels; found: '1', 'foo'; .*--positive.*line 2, 3"),
    (
        "label,pred\ncat,cat\ndog,cat\n",
        {},
        "unknown labels; found: 'cat', 'dog'; say which ones are real with --negative",
    ),
    ("label,pred\ncat,cat\ndog,cat\n", {"positive": ("cow",)}, "no label 'cow'; found: 'cat', 'dog'"),
    (
        "label,pred\ncat,cat\ndog,cat\ncow,cow\n",
        {"positive": ("cow",)},
        "column 'label': 'cat', 'dog' are neither named by --positive nor by --negative",
    ),
    ("label,pred\nreal,real\nfake,foo\n", {}, r"line 3: column 'pred' has 'real', 'foo', which is not understood"),
    ("label,pred\nreal,0.2\nfake,0.7\n", {}, r"line 2: column 'pred' .*if these are scores: --score 'pred'"),
    ("label,pred\n1,0\n,1\n", {}, "line 3: no value in column 'label'"),
    ("label,pred\n1,0\nNaN,1\n", {}, "line 3: no value in column 'label'"),
    ("label,pred\n1,0\n0, \n", {}, "line 3: no value in column 'pred'"),
    ("label,score\n1,0.5\n\n0,nan\n", {}, "line 4: no value in column 'score'; fill it in, or .*--missing skip"),
    ("label,score\n1,0.5\n0,\n", {}, "line 3: no value in column 'score'"),
    ("label,score\n1,0\n0,1_0\n", {}, "line 3: '1_0' in column 'score' is no number"),
    ("label,score\n1,1e999\n0,0\n", {}, "line 2: '1e999' in column 'score' is no number"),
    ("label;score\n1;1.000,5\n0;0,1\n", {}, "line 2: '1.000,5'; is it the point or the comma"),
    ("label;score\n1;1,234\n0;567\n", {}, "line 2: '1,234'; is it the point or the comma"),
    ("label;score\n1;0,5\n0;0.25\n", {}, "line 3: '0.25'; is it the point or the comma"),
    ("label,score\n1,a\n0,.5\n1,b\n0,c\n", {}, "3 bad lines: line 2: 'a' in .*line 4: 'b' .*line 5: 'c'"),
    ("label,score\n1,\n0,.5\n1,\n", {}, "lines 2, 4: no value in column 'score'"),
    ("label,score\n1,.5\n0,.2\n", {"missing": "none"}, "--missing: 'none' is neither skip nor a number"),
    ("label,score\n1,\n0,\n", {"missing": "skip"}, "no row has a score in column 'score'"),
    ("label,score\n1,-3\n0,.2\n", {"score_is": "probability"}, "--score-is probability: .* goes from -3 to 0.2"),
    ("label,score\n1,93%\n0,0.07\n1,88 %\n", {}, "line 3: '0.07' in column 'score' has no percent sign"),
    ("label,score\n1,.5\n0,\n", {"missing": "7"}, "--missing 7: column 'score' goes from 0 to 1"),
    ("label,score\n1,93\n0,\n", {"missing": "0.5"}, "--missing 0.5: column 'score' is in percent; write 50"),
    ("label,score\n1,.5\n0,#N/A\n", {}, "line 3: no value in column 'score'"),
    (
        "video,label,logit\na,1,1\nb,0,inf\nb,0,-inf\n",
        {"aggregate": "mean"},
        "line 3: clip 'b' has scores inf and -inf, which have no mean",
    ),
    ("label,score\n1,.3\n0,.2\n", {"score_is": "confidence"}, "--score-is confidence: it needs what was predicted"),
    ("file,label,pred\nreal/a,1,1\nfake/b,0,0\n", {}, "line 2: '1' in column 'label' would mean fake, but 'real/a'"),
    ("label,text,pred\n1,real,1\n0,fake,0\n", {}, "'real' in column 'text' says real .2 of 2 rows.; .*--positive 1"),
    (
        "label,is_real,score\n1,1,.9\n0,0,.1\n",
        {},
        "'1' in column 'label' would mean fake, but 'real' in column 'is_real'",
    ),
    ("label,score\n1,.5\n2,.2\n", {}, "unknown labels; found: '1', '2'; say which ones are real with --negative"),
    ("label,score\n1,.5\n0,.2\n", {"clip": "score"}, "--clip goes with --aggregate"),
    ("label,score\n1,.5\n0,.2\n", {"aggregate": "mean"}, "--aggregate: no column of clips"),
    ("video,label,pred\na,1,1\nb,0,1\n", {"aggregate": "mean"}, "no column of scores for --aggregate"),
    ("video,label,score\na,1,1\na,0,.5\nb,0,0\n", {"aggregate": "max"}, "line 3: clip 'a' has rows of both classes"),
    ("a b .5\nb c .6\n", {}, "no column of true labels; found: no header, and 3 columns; name it with --truth N"),
    ("real fake .5\nfake fake .6\nreal fake .6\n", {}, "columns 1, 2 may each be that of --truth"),
    ("label,score\n1,.5\n# 0,.2\n0,.2\n", {}, "line 3: begins with # and has as many values as a row"),
    (
        "file,label,pred\na,1,1\nb,0,1\na,0,0\n",
        {},
        "line 4: 'a' in column 'file' is listed in line 2 already; .*--group",
    ),
    ("file,label,pred\na,1,1\n,0,1\n", {}, "line 3: no value in column 'file'"),
    ("speaker,label,pred\na,1,1\n,0,1\n", {}, "line 3: no value in column 'speaker'"),
    ("label,pred\n1,1\nlabel,pred\n0,0\nlabel,pred\n", {}, "lines 3, 5: the header once more; remove it"),
    ("label,pred\n1,1\n0,1,0\n", {}, "line 3: 3 values for 2 columns"),
    ('"a b" real .1\nc fake .9\n', {}, "line 2: 3 values for 4 columns; blanks separate columns here"),
    ("label,pred\n1,1\n0\n", {}, "line 3: 1 values for 2 columns"),
    ('label,pred\n1,1\n"0,1\n1,1\n', {}, "line 3: not valid CSV"),
    ("name,pred\na,1\n", {}, "no column of true labels; found: 'name', 'pred'; name it with --truth"),
    ("label,name\n1,a\n", {}, "no column of predictions; .*--pred or --score COL"),
    ("label,truth,pred\n1,1,1\n", {}, "'label', 'truth' may each be the column of --truth"),
    ("label,pred,decision\n1,1,1\n", {}, "'pred', 'decision' may each be the column of --pred"),
    ("label,p_fake,p_real\n1,1,1\n0,0,1\n", {}, "'p_fake', 'p_real' do not add up to 1"),
    ("label,p_fake,score\n1,1,1\n0,0,1\n", {}, "'p_fake', 'score' may each be the column of --score"),
    ("label,pred,video,speaker\n1,1,a,b\n", {}, "'video', 'speaker' may each be the column of --group"),
    ("label,pred,pred\n1,1,1\n", {}, "line 1: column 'pred' is listed more than once"),
    ("label,real_fake_score\nfake,1\nreal,0\n", {}, "'real_fake_score' has both classes in its name"),
    (GOOD, {"truth": "labl"}, "--truth: unknown column 'labl'; did you mean label"),
    (GOOD, {"score": "x"}, "--score: unknown column 'x'; known: file, label, pred"),
    (GOOD, {"truth": "label", "pred": "Label"}, "one column for two of --truth, --pred"),
    (GOOD, {"threshold": 0.3}, "no column of scores for --threshold"),
    (GOOD, {"threshold": 0.3, "pred": "pred"}, "--pred and --threshold both say"),
    (GOOD, {"threshold": float("nan")}, "--threshold: give a finite number"),
    (
        "label,pred\n" + "".join(f"{row},1\n" for row in range(30)),
        {},
        "column 'label' holds numbers like 0 and no labels",
    ),
    ("label,pred\n" + "".join(f"x{row},1\n" for row in range(30)), {}, "column 'label' has more than 20 different"),
    ("label,pred\n1,1\n0,é\n".encode("latin-1"), {}, "not UTF-8"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", {}, "not UTF-8"),
    ("just a text\nof two lines\n", {}, "no column of true labels"),
]


@pytest.mark.parametrize(("content", "options", "message"), MISTAKES, ids=[message[:40] for *_, message in MISTAKES])
def test_a_mistake_is_told_in_one_line(read, content, options, message):
    with pytest.raises(InputError, match=message) as told:
        read(content, **options)
    assert re.match(r"/.*results\.csv: ", str(told.value))
    assert "\n" not in str(told.value)
    assert len(str(told.value).split("results.csv: ")[1]) < 320


def test_a_threshold_is_never_invented(read):
    for content in (
        "label,bonafide_score\nspoof,-1\nbonafide,4\n",
        "label,logit\n1,2\n0,-1\n",
        "label,score\n1,20\n0,3\n",
    ):
        found = read(content)
        assert found.called is None
        assert found.taken.threshold is None
        assert found.scores[0] > found.scores[1] or "bonafide" in content
        assert read(content, threshold=1.5).called is not None


def test_the_user_says_which_class_a_higher_score_means(read):
    content = "label,score\nspoof,.1\nbonafide,.9\nspoof,.5\n"
    found = read(content, higher="real")
    assert found.scores.tolist() == [-0.1, -0.9, -0.5]
    assert found.called.tolist() == [True, False, True]
    assert read(content, higher="fake").called.tolist() == [False, True, True]
    # the positive class may be the real one
    turned = read(content, higher="real", positive=("bonafide",))
    assert turned.scores.tolist() == [0.1, 0.9, 0.5]


def test_infinite_scores_rank(read):
    found = read("label,score\n1,inf\n0,-Infinity\n1,3\n0,1e300\n")
    assert found.scores.tolist() == [3, 0, 1, 2]


def test_rows_without_a_score_are_counted(read):
    content = "file,label,score\na,1,.9\nb,0,\nc,0,NaN\nd,0,.1\n"
    left_out, filled = read(content, missing="skip"), read(content, missing="0.5")
    assert (left_out.labels.tolist(), left_out.taken.missing, left_out.taken.rows) == ([1, 0], 2, 4)
    assert (filled.scores.tolist(), filled.taken.missing) == ([0.9, 0.5, 0.5, 0.1], 2)
    assert (left_out.taken.filled, filled.taken.filled) == (None, 0.5)
    assert read("label,pred\n1,1\n0,\n0,0\n", missing="skip").taken.missing == 1


@pytest.mark.parametrize("column", ["pred", "score"])
def test_a_column_without_any_value_is_told(read, column):
    with pytest.raises(InputError, match=f"no row has a .* in column '{column}'; name another one"):
        read(f"label,{column}\n1,\n0,n/a\n", missing="skip")


def test_commas_part_decimals_where_nothing_else_can_be(read):
    assert read("label;score\n1;1,234\n0;0,567\n1;2\n").scores.tolist() == [1.234, 0.567, 2]
    assert read("label;score\n1;1,234\n0;2,567\n").scores.tolist() == [1.234, 2.567]


def test_logits_have_no_threshold_wherever_they_lie(read):
    for scores in (".9 .2", "60 3"):
        high, low = scores.split()
        assert read(f"label,logit\n1,{high}\n0,{low}\n").called is None


def test_what_may_stand_for_no_score_is_named(read):
    found = read("label,score\n1,.9\n0,-1\n0,.1\n")
    assert found.called is None
    assert found.taken.threshold_rule is not None
    assert found.taken.threshold_rule.startswith("1 are -1, the others lie in 0 to 1; where -1 is no score")
    assert "-1" not in str(read("label,score\n1,-1\n0,-.5\n").taken.threshold_rule)


def test_clips_without_any_score_are_counted(read):
    content = "video,label,score\na,1,.9\na,1,\nb,0,\nb,0,\nc,0,.1\n"
    found = read(content, aggregate="mean", missing="skip")
    assert (found.labels.tolist(), found.taken.missing, found.taken.clips_lost) == ([1, 0], 3, 1)


def test_an_object_a_line_is_a_row(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    path.write_text('{"file": "a, b", "label": "fake", "score": 0.9}\n\n{"file": "c", "label": "real", "score": 0.2}\n')
    found = external_predictions.read(path, Options())
    assert found.scores is not None
    assert (found.labels.tolist(), found.scores.tolist(), found.ids) == ([1, 0], [0.9, 0.2], ["a, b", "c"])
    path.write_text('{"file": "a"}\n{b}\n')
    with pytest.raises(InputError, match="line 2: not valid JSON"):
        external_predictions.read(path, Options())


def test_scores_that_contradict_what_was_predicted_rank_nothing(read):
    rng = np.random.default_rng(1)
    fake = rng.random(200)
    rows = [("fake" if p > 0.5 else "real", max(p, 1 - p)) for p in fake.tolist()]
    content = "label,pred,score\n" + "".join(f"{call},{call},{score!r}\n" for call, score in rows)
    found = read(content)
    assert found.taken.contradiction
    assert found.scores is None
    converted = read(content, score_is="confidence")
    assert np.allclose(converted.scores, fake)
    assert not converted.taken.contradiction


def test_confidence_in_percent_may_be_low(read):
    content = "label,pred,score,clip\n1,1,45,a\n0,0,30,b\n1,1,20,c\n"
    assert read(content, score_is="confidence").taken.contradiction
    with pytest.raises(InputError, match="many scores in column 'score' are below half"):
        read(content, score_is="confidence", aggregate="mean")
    found = read(content.replace("45", "90").replace("30", "80").replace("20", "70"), score_is="confidence")
    assert found.scores.tolist() == [90, 20, 70]


def test_predictions_say_which_way_a_score_goes_that_no_name_tells(read):
    found = read("label,pred,score\n1,1,.1\n0,0,.9\n1,0,.8\n0,1,.2\n")
    assert (found.taken.higher, found.taken.higher_rule) == ("negative", "what was predicted says so")
    # a name or an option counts more, and then they contradict each other
    assert read("label,pred,p_fake\n1,1,.1\n0,0,.9\n1,0,.8\n0,1,.2\n").taken.contradiction


def test_thresholds_of_several_folds_are_no_contradiction(read):
    rng = np.random.default_rng(2)
    scores, threshold = rng.random(500), np.repeat([0.45, 0.55], 250)
    rows = zip(scores.tolist(), (scores > threshold).astype(int), strict=True)
    found = read("label,pred,score\n" + "".join(f"{i % 2},{c},{s!r}\n" for i, (s, c) in enumerate(rows)))
    assert found.scores.tolist() == scores.tolist()


def test_frames_become_clips(read):
    content = "video,person,label,score\nv1,a,1,.9\nv1,a,1,.3\nv2,b,0,.7\nv2,b,0,.1\nv2,b,0,.0\n"
    mean, most = (
        read(content, aggregate="mean", group="person", clip="video"),
        read(content, aggregate="max", clip="video"),
    )
    assert np.allclose(mean.scores, [0.6, 0.8 / 3])
    assert (mean.labels.tolist(), mean.called.tolist(), mean.groups.tolist()) == ([1, 0], [True, False], [0, 1])
    assert (most.scores.tolist(), most.called.tolist()) == ([0.9, 0.7], [True, True])
    assert read(content, aggregate="median", clip="video").scores.tolist() == [0.6, 0.1]


def test_the_greatest_score_of_a_clip_is_the_one_that_means_fake_most(read):
    content = "video,label,p_real\nv1,1,.9\nv1,1,.2\nv2,0,.6\nv2,0,.7\n"
    assert read(content, aggregate="max", clip="video").scores.tolist() == [-0.2, -0.6]


@pytest.mark.parametrize("how", ["mean", "median"])
def test_infinite_scores_of_a_clip_that_cancel_out_are_told(read, how):
    content = "video,label,score\nv1,1,5\nv2,0,inf\nv2,0,-inf\n"
    with pytest.raises(InputError, match=f"line 3: clip 'v2' has scores inf and -inf, which have no {how}"):
        read(content, aggregate=how, clip="video")
    assert read(content, aggregate="max", clip="video").scores.tolist() == [0, 1]


def test_a_class_may_be_missing(read):
    found = read("label,pred\nfake,fake\nfake,real\n")
    assert (found.labels.tolist(), found.called.tolist()) == ([1, 1], [True, False])


def test_a_file_word_of_the_other_class_counts_only_if_most_names_say_so(read):
    # a fake smile is no fake
    assert read("file,label,pred\nfake_smile.jpg,0,0\nb.jpg,1,1\nreal_2.jpg,0,1\n").labels.tolist() == [0, 1, 0]


KEYS = {
    "protocol.txt": "S1 u1 - - bonafide\nS2 u2 - A07 spoof\nS1 u3 - - bonafide\n",
    "la2021.txt": "S1 u1 alaw tx - bonafide notrim eval\nS2 u2 alaw tx A07 spoof notrim eval\n",
    "asvspoof5.tsv": "S1 u1 F - - - - - bonafide -\nS2 u2 F - - - AC1 A07 spoof -\n",
    "meta.csv": "file,speaker,label,attack\nu1.wav,S1,bona-fide,none\nu2.wav,S2,spoof,A07\n",
    "list.txt": "u1.png 0\nu2.png 1\n",
    "metadata.json": '{"u1.mp4": {"label": "REAL"}, "u2.mp4": {"label": "FAKE", "original": "u1.mp4"}}',
}


@pytest.mark.parametrize("name", KEYS)
def test_true_labels_come_from_a_key(read, tmp_path, name):
    (tmp_path / name).write_text(KEYS[name])
    found = read("folder/u2.flac,.9\nfolder/u1.flac,.2\n", key=tmp_path / name)
    assert found.labels.tolist() == [1, 0]
    groups = {"metadata.json": None, "list.txt": None}.get(name, [0, 1])
    assert (None if found.groups is None else found.groups.tolist()) == groups
    sources = None if found.sources is None else found.sources[0]
    assert sources == (None if name in ("metadata.json", "list.txt") else "A07")
    assert found.taken.unused == (1 if name == "protocol.txt" else 0)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("S1 u1 - - bonafide\n", "1 of 2 names are not in .*key.txt: 'u2'; it has names like 'u1'"),
        ("u1 real\nu1 fake\nu2 real\n", "no column of names that could be told"),
        ("file,label\nu1,real\nu1,fake\nu2,real\n", "key.txt: line 3: 'u1' is listed already"),
        ("file,word\nu1,real\n", "key.txt: no column of true labels"),
        ("", "key.txt: the file is empty"),
        (
            "file,label\nreal/u1.png,real\nfake/u1.png,fake\n",
            "written alike .* 'u1' stands for both 'real/u1.png' .line 2. and 'fake/u1.png' .line 3.",
        ),
    ],
)
def test_a_key_that_does_not_fit(read, tmp_path, key, message):
    (tmp_path / "key.txt").write_text(key)
    with pytest.raises(InputError, match=message):
        read("u1 .9\nu2 .2\n", key=tmp_path / "key.txt")


@pytest.mark.parametrize(
    ("key", "column"),
    [("file,label\n", "file"), ("file,label\n-,real\n-,fake\n", "file"), ("file,label\na,\nb,\n", "label")],
)
def test_a_key_without_names_or_labels_is_told(read, tmp_path, key, column):
    (tmp_path / "key.csv").write_text(key)
    with pytest.raises(InputError, match=rf"key\.csv: no value in column '{column}'"):
        read("file,score\na,.1\nb,.9\n", key=tmp_path / "key.csv")


@pytest.mark.parametrize(
    "key",
    [
        "file,label,text\nu1,1,real\nu2,0,fake\n",
        "path,label\nreal/u1,1\nfake/u2,0\n",
        "file,y,is_real\nu1,1,1\nu2,0,0\n",
    ],
)
def test_numbers_in_a_key_must_not_contradict_its_words(read, tmp_path, key):
    (tmp_path / "key.csv").write_text(key)
    with pytest.raises(InputError, match=r"line 1: '1' in column '(label|y) of the key' would mean fake, but .*real"):
        read("u1 .9\nu2 .2\n", key=tmp_path / "key.csv")
    assert read("u1 .9\nu2 .2\n", key=tmp_path / "key.csv", positive=("0",)).labels.tolist() == [0, 1]


def test_names_that_differ_in_their_folders_alone_do_not_share_a_row_of_the_key(read, tmp_path):
    (tmp_path / "key.csv").write_text("file,label\nu1,real\nu2,fake\n")
    with pytest.raises(InputError, match=r"'a/u1' \(line 2\) and 'b/u1' \(line 3\)"):
        read("file,score\na/u1,.2\nb/u1,.4\na/u2,.7\n", key=tmp_path / "key.csv")


def test_a_group_that_all_rows_share_is_none_unless_it_is_named(read):
    content = "speaker,label,pred\na,1,1\na,0,1\n"
    assert read(content).groups is None
    assert read(content, group="speaker").groups.tolist() == [0, 0]


def test_whom_a_key_gives_no_group_is_one_of_his_own(read, tmp_path):
    (tmp_path / "key.csv").write_text("file,label,speaker\nu1,real,-\nu2,fake,-\nu3,fake,S\nu4,fake,S\n")
    found = read("u1 .9\nu2 .2\nu3 .1\nu4 .3\n", key=tmp_path / "key.csv")
    assert found.groups.tolist() == [0, 1, 2, 2]


def test_labels_of_the_table_must_not_contradict_the_key(read, tmp_path):
    (tmp_path / "key.csv").write_text("file,label\nu1,real\nu2,fake\n")
    rows = "file,label,score\nu1,{},.2\nu2,{},.9\n"
    assert read(rows.format("genuine", "spoof"), key=tmp_path / "key.csv").labels.tolist() == [0, 1]
    for own in (("genuine", "bonafide"), ("0", "0")):
        with pytest.raises(
            InputError, match=r"line 3: '(bonafide|0)' in column 'label', but 'fake' in the key; .*--pred"
        ):
            read(rows.format(*own), key=tmp_path / "key.csv")
    assert read(rows.format("0", "0"), key=tmp_path / "key.csv", pred="label").called.tolist() == [False, False]


def test_a_few_whole_numbers_may_be_labels(read):
    found = read("label,score\n0,.1\n1,.9\n2,.8\n", negative=("0",))
    assert (found.labels.tolist(), found.sources.tolist()) == ([0, 1, 1], ["0", "1", "2"])


def test_frames_are_found_in_a_key_by_their_video(read, tmp_path):
    (tmp_path / "key.csv").write_text("file,label\nv1,real\nv2,fake\n")
    for header, clip in (("video,frame,score", None), ("filename,frame,score", "filename")):
        rows = f"{header}\nv1.mp4,0,.2\nv1.mp4,1,.4\nv2.mp4,0,.7\nv2.mp4,1,.5\n"
        found = read(rows, key=tmp_path / "key.csv", aggregate="mean", clip=clip)
        assert np.allclose(found.scores, [0.3, 0.6])
        assert found.labels.tolist() == [0, 1]


def test_columns_without_values_do_not_hide_the_names(read, tmp_path):
    (tmp_path / "key.txt").write_text("S1 u1 - - bonafide\nS2 u2 - A07 spoof\n")
    assert read("u1 - - .2\nu2 - - .9\n", key=tmp_path / "key.txt").labels.tolist() == [0, 1]


def test_rows_that_share_a_name_may_be_a_group(read):
    found = read("file,label,pred\na,1,1\nb,0,1\na,0,0\n", group="file")
    assert found.groups.tolist() == [0, 1, 0]
    assert found.ids is None


def test_a_quoted_value_may_hold_separators_and_lines(read):
    content = 'file,label,pred\n"a,\n1",1,1\nb,0,0\nb,0,0\n'
    with pytest.raises(InputError, match="line 5: 'b' in column 'file' is listed in line 4 already"):
        read(content)


@pytest.mark.parametrize(("make", "message"), [(Path.mkdir, "a folder; name a CSV file"), (None, "not found")])
def test_what_is_no_file_is_told(tmp_path, make, message):
    path = tmp_path / "results"
    if make:
        make(path)
    with pytest.raises(InputError, match=f"results: {message}"):
        external_predictions.read(path, Options())


def test_many_rows_come_out_as_they_went_in(read):
    rng = np.random.default_rng(0)
    labels, scores, groups = rng.integers(0, 2, 5000), rng.normal(size=5000), rng.integers(0, 70, 5000)
    rows = zip(range(5000), labels, scores.tolist(), groups, strict=True)
    found = read("id,label,score,group\n" + "".join(f"{i},{label},{s!r},g{g}\n" for i, label, s, g in rows))
    assert np.array_equal(found.labels, labels)
    assert np.array_equal(found.scores, scores)
    assert found.ids[4321] == "4321"
    same = found.groups[:, None] == found.groups[:400]
    assert np.array_equal(same, groups[:, None] == groups[:400])


def manifest_of_clips() -> pd.DataFrame:
    """Return a manifest of four clips with three samples each, two a person, a real and a fake one."""
    clips = [(f"{source}/{person}", label, source, person) for person in "ab" for label, source in ((0, "r"), (1, "f"))]
    return pd.DataFrame(
        {
            "sample_id": [f"{clip}#{number:03d}" for clip, *_ in clips for number in range(3)],
            "clip_id": [clip for clip, *_ in clips for _ in range(3)],
            "path": [f"{clip}.mp4" for clip, *_ in clips for _ in range(3)],
            **{
                name: [one[place] for one in clips for _ in range(3)]
                for place, name in ((1, "label"), (2, "source"), (3, "group"))
            },
        }
    )


@pytest.mark.parametrize("named", ["sample_id", "clip_id"])
def test_scores_of_parts_are_joined_by_the_clips_of_our_manifest(read, tmp_path, named):
    manifest = manifest_of_clips()
    manifest.to_parquet(tmp_path / "manifest.parquet")
    scores = np.random.default_rng(0).uniform(0, 1, len(manifest)).round(3)
    rows = "".join(f"{name},{score}\n" for name, score in zip(manifest[named], scores, strict=True))
    for how in ("mean", "median", "max"):
        found = read(f"{named},score\n{rows}", key=tmp_path / "manifest.parquet", aggregate=how)
        expected = manifest.assign(score=scores).groupby("clip_id", sort=False)
        np.testing.assert_allclose(found.scores, expected["score"].agg(how))
        assert found.labels.tolist() == expected["label"].first().tolist()
        assert found.groups.tolist() == [0, 0, 1, 1]
        assert found.sources.tolist() == ["r", "f", "r", "f"]


def test_a_key_without_clips_needs_them_named(read, tmp_path):
    (tmp_path / "key.csv").write_text("file,label\nu1,0\nu2,1\n")
    with pytest.raises(InputError, match="--aggregate: no column of clips: none is called so"):
        read("file,score\nu1,.2\nu2,.9\n", key=tmp_path / "key.csv", aggregate="mean")


def test_scores_may_be_a_parquet_file(tmp_path):
    table = pd.DataFrame({"video": ["a", "a", "b"], "label": [0, 0, 1], "score": [0.1, 1 / 3, 0.9]})
    table.to_parquet(tmp_path / "scores.parquet")
    found = external_predictions.read(tmp_path / "scores.parquet", Options(aggregate="max"))
    assert found.scores is not None
    assert found.scores.tolist() == [1 / 3, 0.9]
    assert found.taken.separator == "Parquet"
    (tmp_path / "text.parquet").write_text("label,score\n0,.1\n")
    with pytest.raises(InputError, match=r"text\.parquet: not a Parquet file"):
        external_predictions.read(tmp_path / "text.parquet", Options())


def test_predictions_of_our_own_runs_are_refused_with_the_reason(tmp_path):
    columns = {column: ["0"] for column in tables.PREDICTIONS.columns}
    pd.DataFrame(columns).to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match=r"predictions of a run of this project: .* different scales"):
        external_predictions.read(tmp_path / "predictions.parquet", Options())
