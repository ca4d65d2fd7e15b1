import re
from pathlib import Path

import numpy as np
import pytest

from deepfake.datasets import external_predictions
from deepfake.datasets.external_columns import Options
from deepfake.errors import InputError


@pytest.fixture
def read(tmp_path):
    def read(content: str | bytes, **options) -> external_predictions.Foreign:
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
    ("label,bonafide_score\nspoof,-1\nbonafide,-2e-3\nspoof,3.5\nbonafide,4\n", "scores of real"),
    ("label,logit\n1,2\n0,1\n1,-1\n0,-2\n", "logits"),
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
        truth="Truth",
        pred=None,
        score="P_real",
        group="Speaker",
        source=None,
        id="File",
        named=(),
        positive=("fake",),
        negative=("real",),
        positive_rule="a known word",
        higher="negative",
        higher_rule="its name",
        threshold=0.5,
        threshold_rule="all scores lie between 0 and 1",
        called_positive=(),
        called_negative=(),
        called_rule=None,
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
    content = "a,b,c,d\ncat,dog,0.7,x\ndog,dog,0.2,x\ncat,cat,0.1,y\n"
    found = read(content, truth="a", pred="B", score="c", group="d", positive="CAT")
    assert found.labels.tolist() == [1, 0, 1]
    assert found.called.tolist() == [False, False, True]
    assert found.scores.tolist() == [0.7, 0.2, 0.1]
    assert found.groups.tolist() == [0, 0, 1]
    assert found.taken.named == ("truth", "pred", "score", "group")
    assert (found.taken.positive, found.taken.negative, found.taken.positive_rule) == (("cat",), ("dog",), "as named")


def test_the_positive_class_may_be_the_real_one(read):
    found = read("label,pred,p_fake\nreal,1,.1\nfake,0,.9\n", positive="real")
    assert found.labels.tolist() == [1, 0]
    assert found.called.tolist() == [True, False]
    assert found.scores.tolist() == [-0.1, -0.9]
    assert read("label,pred\n0,fake\n1,real\n", positive="0").labels.tolist() == [1, 0]
    assert read("label,pred\nreal,bonafide\nfake,spoof\n", positive="real").called.tolist() == [True, False]


@pytest.mark.parametrize(
    ("scores", "threshold", "called", "rule"),
    [
        ((0.5, 0.49, 1), None, (1, 0, 1), "all scores lie between 0 and 1"),
        ((0, -0.1, 1.5), None, (1, 0, 1), "scores lie outside 0 and 1"),
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
    ("label,pred\ncat,cat\ndog,cat\n", {}, "unknown labels; found: 'cat', 'dog'; say which one is positive"),
    ("label,pred\ncat,cat\ndog,cat\n", {"positive": "cow"}, "no label 'cow'; found: 'cat', 'dog'"),
    (
        "label,pred\ncat,cat\ndog,cat\ncow,cow\n",
        {"positive": "cow"},
        "3 labels .'cat', 'dog', 'cow'.*remove the others",
    ),
    ("label,pred\nreal,real\nfake,foo\n", {}, r"line 3: column 'pred' has 'real', 'foo', which is not understood"),
    ("label,pred\nreal,0.2\nfake,0.7\n", {}, r"line 2: column 'pred' .*if these are scores: --score 'pred'"),
    ("label,pred\n1,0\n,1\n", {}, "line 3: no value in column 'label'"),
    ("label,pred\n1,0\nNaN,1\n", {}, "line 3: no value in column 'label'"),
    ("label,pred\n1,0\n0, \n", {}, "line 3: no value in column 'pred'"),
    ("label,score\n1,0.5\n\n0,nan\n", {}, "line 4: 'nan' is no finite number in column 'score'"),
    ("label,score\n1,0.5\n0,\n", {}, "line 3: no value in column 'score'"),
    ("label,score\n1,inf\n0,0\n", {}, "line 2: 'inf' is no finite number"),
    ("label,score\n1,0\n0,1_0\n", {}, "line 3: '1_0' is no finite number in column 'score'"),
    ("label,score\n1,1e999\n0,0\n", {}, "line 2: '1e999' is no finite number"),
    ("label;score\n1;0,5\n0;0,1\n", {}, "line 2: '0,5' is no finite number in column 'score'; .* like 0.25"),
    ("label,pred\nfake,fake\nfake,real\n", {}, "one class only .'fake'.; metrics need both"),
    ("file,label,pred\na,1,1\nb,0,1\na,0,0\n", {}, "line 4: 'a' in column 'file' stands in line 2 already; .*--group"),
    ("file,label,pred\na,1,1\n,0,1\n", {}, "line 3: no value in column 'file'"),
    ("speaker,label,pred\na,1,1\n,0,1\n", {}, "line 3: no value in column 'speaker'"),
    ("label,pred\n1,1\n0,1,0\n", {}, "line 3: 3 values for 2 columns"),
    ("label,pred\n1,1\n0\n", {}, "line 3: 1 values for 2 columns"),
    ('label,pred\n1,1\n"0,1\n1,1\n', {}, "line 3: not valid CSV"),
    ("name,pred\na,1\n", {}, "no column of true labels; found: 'name', 'pred'; name it with --truth"),
    ("label|pred\n1|1\n", {}, "no column of true labels; .*separated by commas, semicolons or tabs"),
    ("label,name\n1,a\n", {}, "no column of predictions; .*--pred COL or --score COL"),
    ("label,truth,pred\n1,1,1\n", {}, "'label', 'truth' may each be the column of --truth"),
    ("label,pred,decision\n1,1,1\n", {}, "'pred', 'decision' may each be the column of --pred"),
    ("label,p_fake,p_real\n1,1,0\n", {}, "'p_fake', 'p_real' may each be the column of --score"),
    ("label,pred,video,speaker\n1,1,a,b\n", {}, "'video', 'speaker' may each be the column of --group"),
    ("label,pred,pred\n1,1,1\n", {}, "line 1: column 'pred' stands there more than once"),
    ("label,real_fake_score\nfake,1\nreal,0\n", {}, "'real_fake_score' has both classes in its name"),
    (GOOD, {"truth": "labl"}, "--truth: unknown column 'labl'; did you mean label"),
    (GOOD, {"score": "x"}, "--score: unknown column 'x'; known: file, label, pred"),
    (GOOD, {"truth": "label", "pred": "Label"}, "one column for two of --truth, --pred"),
    (GOOD, {"threshold": 0.3}, "no column of scores for --threshold"),
    (GOOD, {"threshold": 0.3, "pred": "pred"}, "--pred and --threshold both say"),
    (GOOD, {"threshold": float("nan")}, "--threshold: give a finite number"),
    ("label,pred\n" + "".join(f"{row},1\n" for row in range(30)), {}, "line 22: column 'label' has more than 20"),
    ("label,pred\n1,1\n0,é\n".encode("latin-1"), {}, "not UTF-8"),
    ("label,pred\n1,1\n".encode("utf-16"), {}, "not UTF-8"),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", {}, "not UTF-8"),
    ("just a text\nof two lines\n", {}, "no column of true labels"),
]


@pytest.mark.parametrize(("content", "options", "message"), MISTAKES, ids=[message[:40] for *_, message in MISTAKES])
def test_a_mistake_is_told_in_one_line(read, content, options, message):
    with pytest.raises(InputError, match=message) as told:
        read(content, **options)
    assert re.match(r"/.*results\.csv: ", str(told.value))
    assert "\n" not in str(told.value)
    assert len(str(told.value).split("results.csv: ")[1]) < 250


def test_rows_that_share_a_name_may_be_a_group(read):
    found = read("file,label,pred\na,1,1\nb,0,1\na,0,0\n", group="file")
    assert found.groups.tolist() == [0, 1, 0]
    assert found.ids is None


def test_a_quoted_value_may_hold_separators_and_lines(read):
    content = 'file,label,pred\n"a,\n1",1,1\nb,0,0\nb,0,0\n'
    with pytest.raises(InputError, match="line 5: 'b' in column 'file' stands in line 4 already"):
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
