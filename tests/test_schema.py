import pytest
from pydantic import ValidationError, model_validator

from deepfake.config.section import Epochs, Section, first_mistake
from deepfake.errors import unknown


class Leaf(Section):
    height: int
    width: int


class Tree(Section):
    leaf: Leaf
    leaves: dict[str, Leaf]
    free: dict[str, dict[str, int]]
    name: str


GOOD = {"leaf": {"height": 1, "width": 2}, "leaves": {"a": {"height": 1, "width": 2}}, "free": {}, "name": "oak"}


def mistake(values, prefix=""):
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(values)
    return first_mistake(caught.value, Tree, prefix)


def test_good_values_pass():
    assert Tree.model_validate(GOOD).leaves["a"].width == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nam": "oak"}, "nam: unknown key; did you mean name?"),
        ({"leaf": {"height": 1, "width": 2, "hieght": 3}}, "leaf.hieght: unknown key; did you mean leaf.height?"),
        ({"leaves": {"a": {"height": 1}}}, "leaves.a.width: this key is missing"),
        ({"xyz": 1}, "xyz: unknown key"),
        ({"leaf": {"height": "tall", "width": 2}}, "leaf.height: input should be a valid integer"),
    ],
)
def test_the_path_and_the_nearest_key_are_named(change, message):
    assert mistake(GOOD | change).startswith(message)


def test_a_misspelt_key_is_told_before_the_missing_one_that_it_was_meant_to_be():
    # both are mistakes: `width` is missing because it was written `widht`
    message = mistake(GOOD | {"leaf": {"height": 1, "widht": 2}})
    assert message == "leaf.widht: unknown key; did you mean leaf.width? (and 1 more)"


def test_below_a_dictionary_the_name_is_left_open():
    class Forest(Section):
        trees: dict[str, Leaf]

    with pytest.raises(ValidationError) as caught:
        Forest.model_validate({"trees": {"a": {"height": 1, "width": 2, "widht": 2}}})
    assert first_mistake(caught.value, Forest) == "trees.a.widht: unknown key; did you mean trees.<name>.width?"


def test_the_nearest_key_of_the_same_section_comes_before_the_same_key_of_another():
    class Branch(Section):
        widths: int

    class Shrub(Section):
        leaf: Leaf
        branch: Branch

    with pytest.raises(ValidationError) as caught:
        Shrub.model_validate({"leaf": {"height": 1, "width": 2}, "branch": {"widths": 1, "width": 2}})
    assert first_mistake(caught.value, Shrub) == "branch.width: unknown key; did you mean branch.widths?"


@pytest.mark.parametrize(
    ("value", "message"),
    [("medium", "or a valid integer"), (0, "or greater than or equal to 1"), (2.5, "or a valid integer")],
)
def test_what_is_neither_word_nor_number_is_one_mistake(value, message):
    class Training(Section):
        epochs: Epochs

    assert [Training(epochs=value).epochs for value in ("base", 30)] == ["base", 30]
    with pytest.raises(ValidationError) as caught:
        Training.model_validate({"epochs": value})
    assert first_mistake(caught.value, Training) == f"epochs: input should be 'short', 'base' or 'long', {message}"


def test_the_prefix_stands_before_the_path():
    assert mistake(GOOD | {"name": 3}, "file").startswith("file.name: ")


def test_a_rule_of_the_projects_own_is_told_in_its_own_words():
    class Pair(Section):
        low: int
        high: int

        @model_validator(mode="after")
        def _ordered(self) -> "Pair":
            if self.low > self.high:
                raise ValueError("low must not lie above high")
            return self

    with pytest.raises(ValidationError) as caught:
        Pair.model_validate({"low": 2, "high": 1})
    assert first_mistake(caught.value, Pair, "pair") == "pair: low must not lie above high"


def test_a_file_that_is_no_mapping_is_called_the_file():
    assert mistake(None).startswith("the file: ")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("quik", "did you mean quick?"), ("zzz", "known: full, quick"), ("qu1ck", "did you mean quick?")],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(name, hint):
    assert unknown("preset", name, ["quick", "full"]) == f"unknown preset {name!r}; {hint}"
