import pytest

from deepfake.datasets.label_vocabulary import (
    FAKE,
    REAL,
    Classes,
    listed,
    meaning,
    named_class,
    names_a_score,
    normal,
)
from deepfake.errors import InputError


@pytest.mark.parametrize("word", ["bona-fide", "Bona Fide", "bona_fide", " BONAFIDE "])
def test_spellings_of_a_word_are_one_word(word):
    assert normal(word) == "bonafide"


@pytest.mark.parametrize(("word", "number"), [("1.0", "1"), ("0.", "0"), ("-1", "-1"), ("+1", "1"), ("1.5", "1.5")])
def test_whole_numbers_are_one_word_however_they_are_written(word, number):
    assert normal(word) == number


def test_no_word_is_of_both_classes_and_all_are_normal():
    assert not FAKE & REAL
    assert all(normal(word) == word for word in FAKE | REAL)


@pytest.mark.parametrize(
    "name",
    ["score", "y_score", "prob", "p_fake", "P(fake)", "fake_probability", "bona_fide_score", "logit", "cm-score"],
)
def test_names_of_scores_are_known(name):
    assert names_a_score(name)


@pytest.mark.parametrize("name", ["label", "pred", "real", "file", "credit_score", "y", "1", "", "confidence"])
def test_other_names_are_none(name):
    assert not names_a_score(name)


@pytest.mark.parametrize(
    ("name", "grows"),
    [
        ("score", None),
        ("p_fake", True),
        ("spoof_score", True),
        ("bona_fide_score", False),
        ("bonafide-score", False),
        ("p_real", False),
        ("human_prob", False),
    ],
)
def test_the_direction_of_a_score_stands_in_its_name(name, grows):
    assert Classes.of(["spoof", "bona-fide"]).of_score(name) is grows
    turned = Classes.of(["spoof", "bona-fide"], ["bona-fide"]).of_score(name)
    assert turned is (None if grows is None else not grows)


def test_labels_of_ones_own_count_in_the_name_of_a_score():
    cats = Classes.of(["cat", "dog"], ["dog"])
    assert (cats.of_score("p_cat"), cats.of_score("dog_score")) == (False, True)


def test_long_lists_and_words_are_cut():
    assert listed(map(str, range(12))) == "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 2 more"
    assert len(listed(["x" * 1000])) < 50


@pytest.mark.parametrize(
    ("word", "fake"),
    [
        ("REAL", False),
        (" Bona-Fide ", False),
        ("pristine", False),
        ("AI", True),
        ("ai_generated", True),
        ("1", None),
        ("yes", None),
        ("Deepfakes", True),
        ("Face2Face", None),
        ("", None),
    ],
)
def test_a_word_means_one_class_or_none(word, fake):
    assert meaning(word) is fake


@pytest.mark.parametrize(
    ("name", "fake"),
    [
        ("is_real", False),
        ("isReal", False),
        ("isfake", True),
        ("bonafide", False),
        ("prob_fake", True),
        ("label", None),
        ("real_or_fake", None),
        ("y", None),
    ],
)
def test_a_column_may_be_named_after_a_class(name, fake):
    assert named_class(name) is fake


@pytest.mark.parametrize(
    ("column", "positive"), [("label", {"0": False, "1": True}), ("is_real", {"0": True, "1": False})]
)
def test_the_columns_name_says_what_1_means(column, positive):
    found = Classes.of(["1", "0.0"], column=column)
    assert (found.positive, found.reversed) == (positive, False)


def test_all_labels_beside_the_negative_ones_are_fake():
    found = Classes.of(["original", "Deepfakes", "Face2Face"], negative=["Original"])
    assert found.positive == {"original": False, "deepfakes": True, "face2face": True}


@pytest.mark.parametrize(
    ("labels", "positive", "negative", "message"),
    [
        (["a", "b"], ["Spoof X"], [], "no label 'Spoof X'; found: 'a', 'b'"),
        (["a", "b", "c"], ["a"], [], "'b', 'c' are neither named by --positive nor by --negative"),
        (["a", "b", "c"], ["a"], ["b"], "'c' are neither"),
        (["a", "b"], ["a"], ["a"], "'a' is named by both"),
        (["a", "b"], [], ["x"], "no label 'x'; found: 'a', 'b'"),
        (["1.0", "real"], [], [], "unknown labels; found: '1.0', 'real'"),
    ],
)
def test_labels_that_cannot_be_told_apart(labels, positive, negative, message):
    with pytest.raises(InputError, match=message):
        Classes.of(labels, positive, negative)
