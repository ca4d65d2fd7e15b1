import pytest

from deepfake.datasets.label_vocabulary import FAKE, REAL, Polarity, listed, names_a_score, normal


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
    assert Polarity.of(["spoof", "bona-fide"], None).of_score(name) is grows
    turned = Polarity.of(["spoof", "bona-fide"], "bona-fide").of_score(name)
    assert turned is (None if grows is None else not grows)


def test_labels_of_ones_own_count_in_the_name_of_a_score():
    cats = Polarity.of(["cat", "dog"], "dog")
    assert (cats.of_score("p_cat"), cats.of_score("dog_score")) == (False, True)


def test_long_lists_and_words_are_cut():
    assert listed(map(str, range(12))) == "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 2 more"
    assert len(listed(["x" * 1000])) < 50
