"""Gradient reversal against numerical derivatives, and whose domain counts."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from deepfake.config.training import Domain
from deepfake.errors import InputError
from deepfake.training import domains

FEATURES = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3)))
WEIGHTS = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 2)))
TARGETS = torch.tensor([0, 1, 1, 0, 1])


def domain_loss(features):
    return cross_entropy(features @ WEIGHTS, TARGETS)


def numerical_gradient(function, at, step=1e-6):
    """Return central differences."""
    found = torch.zeros_like(at)
    for place in np.ndindex(*at.shape):
        above, below = at.clone(), at.clone()
        above[place] += step
        below[place] -= step
        found[place] = (function(above) - function(below)) / (2 * step)
    return found


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0, 2.5])
def test_the_gradient_is_the_numerical_one_times_minus_the_weight(weight):
    features = FEATURES.clone().requires_grad_()
    domain_loss(domains.reverse_gradient(features, torch.tensor(weight))).backward()
    torch.testing.assert_close(features.grad, -weight * numerical_gradient(domain_loss, FEATURES), atol=1e-8, rtol=1e-5)


def test_forwards_nothing_changes():
    assert torch.equal(domains.reverse_gradient(FEATURES, torch.tensor(7.0)), FEATURES)


def test_a_step_down_the_reversed_gradient_makes_domains_harder_to_tell():
    features = FEATURES.clone().requires_grad_()
    domain_loss(domains.reverse_gradient(features, torch.tensor(1.0))).backward()
    assert domain_loss(FEATURES - 0.1 * features.grad) > domain_loss(FEATURES)


def test_the_head_itself_learns_to_tell_them():
    torch.manual_seed(0)
    head = domains.DomainHead(3, 2).double()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    losses = []
    for _ in range(50):
        loss = cross_entropy(head(domains.reverse_gradient(FEATURES, torch.tensor(1.0))), TARGETS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_ganin_s_schedule_has_the_values_of_the_paper():
    # lambda_p = 2 / (1 + exp(-10 p)) - 1
    assert [domains.SCHEDULES["ganin"](p) for p in (0, 0.1, 0.5, 1)] == pytest.approx(
        [0, 0.46211716, 0.98661430, 0.99990920]
    )
    assert domains.SCHEDULES["constant"](0.0) == 1


def test_params_allow_exactly_the_schedules_there_are():
    assert set(Domain.model_fields["schedule"].annotation.__args__) == set(domains.SCHEDULES)


def test_a_class_of_one_domain_takes_no_part():
    names = np.array(["wiki", "wiki", "insight", "text2img", "insight", "text2img", "insight"])
    labels = np.array([0, 0, 1, 1, 1, 1, 1])
    found = domains.codes(names, labels, np.arange(6), "source")
    # sorted by name; the last row is no training sample, but of a domain that is known
    assert found.tolist() == [-1, -1, 0, 1, 0, 1, 0]


def test_a_domain_that_was_not_trained_on_is_unknown():
    names = np.array(["a", "a", "b", "b", "c"])
    assert domains.codes(names, np.ones(5, int), np.arange(4), "source").tolist() == [0, 0, 1, 1, -1]


def test_each_class_has_its_own_domains():
    found = domains.possible(np.array([0, 1, 1, 2, 0, -1]), np.array([0, 0, 1, 1, 0, 1]))
    assert found.tolist() == [[True, True, False], [False, True, True]]
    # a class that takes no part must not be left without a choice: its loss is not counted, but computed
    assert domains.possible(np.array([-1, 0, 1]), np.array([0, 1, 1])).tolist() == [[True, True], [True, True]]


def test_a_domain_with_samples_of_both_classes_is_one_domain():
    names = np.array(["a", "b"] * 4)
    labels = np.array([0, 0, 1, 1] * 2)
    assert domains.codes(names, labels, np.arange(8), "dataset").tolist() == [0, 1] * 4


def test_one_data_set_has_no_domains():
    with pytest.raises(InputError, match=r"domain\.column: dataset has no two values.*choose another column, or none"):
        domains.codes(np.full(6, "sample"), np.array([0, 1] * 3), np.arange(6), "dataset")


def test_a_domain_of_one_sample_is_named():
    names = np.array(["wiki", "wiki", "a", "a", "b"])
    with pytest.raises(InputError, match=r"domain\.column: source b has a single training sample"):
        domains.codes(names, np.array([0, 0, 1, 1, 1]), np.arange(5), "source")
