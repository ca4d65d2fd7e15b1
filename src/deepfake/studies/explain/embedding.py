"""What a detector's features separate: sources of fakes, or real from fake."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from deepfake import runtime, tables
from deepfake.config.params import Evaluation
from deepfake.evaluation import influence, neighbours, resampling, verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import Floats
from deepfake.evaluation.group_means import mean_over_groups
from deepfake.evaluation.influence import Influence
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports.findings import Finding, Verdict, tested
from deepfake.runs import features, heads, trained
from deepfake.studies import comparison
from deepfake.studies.explain import deep_figures
from deepfake.studies.explain.cases import Case
from deepfake.tables import results as result_tables
from deepfake.training import checkpoint

NEIGHBOURS = 10
"""Neighbours that vote on a sample."""
MOST = 2000
"""Held-out samples of a run whose features are looked at, as many of each source and fold."""
DRAWN = 400
"""Samples in a picture; they are of one fold."""
SOURCE, CLASS = "source of the fakes", "real or fake"
"""What is asked of the neighbours."""
_PERPLEXITY = 30.0
_BATCH = 64
_WORDS: dict[str, Verdict] = {"better": "above_chance", "worse": "at_chance"}
"""A higher accuracy on sources is what `compare` calls better than 0."""


class Answer(NamedTuple):
    """What neighbours say of one question.

    Args:
        row: of the table.
        adjusted: the accuracy on the scale of 0 (chance) to 1.
        own: the share of nearest neighbours, where none is left out, that is of the sample's own group.
    """

    row: dict[str, Any]
    adjusted: Influence
    own: Estimate


def run(
    models: Mapping[str, Case], labels: Mapping[str, str], evaluation: Evaluation, progress: Progress = SILENT
) -> list[Finding]:
    """Write the tables `explain_neighbours` and `explain_embedding` and the figure, and return the findings.

    Args:
        models: the runs whose features are looked at.
        labels: what findings call them.
        evaluation: confidence and region of practical equivalence.
        progress: told of features computed.
    """
    rows, points, contrasts, own = [], [], {}, {}
    for name, model in models.items():
        samples = _drawn(model.verdicts)
        values = read(model, samples, progress)
        answers = ask(samples, values, evaluation.confidence)
        rows += [{"experiment": name} | answer.row for answer in answers.values()]
        if len(answers) == 2:
            contrasts[name] = influence.difference(answers[CLASS].adjusted, answers[SOURCE].adjusted)
        if CLASS in answers:
            own[name] = answers[CLASS].own
        points.append(projected(samples, values).assign(experiment=name))
    result_tables.write(pd.DataFrame(rows, columns=_COLUMNS), "explain_neighbours")
    embedded = pd.concat(points)
    result_tables.write(embedded[["experiment", *embedded.columns.drop("experiment")]], "explain_embedding")
    deep_figures.embedding(embedded, {name: model.title for name, model in models.items()})
    named = {name: labels[name] for name in models}
    return conclusions(contrasts, named, evaluation) + together(own, named, evaluation)


def conclusions(contrasts: Mapping[str, Influence], labels: Mapping[str, str], evaluation: Evaluation) -> list[Finding]:
    """Return a finding a run: whether its features separate sources of fakes rather than real from fake.

    Args:
        contrasts: adjusted accuracy on sources minus that on classes, of the runs that have several sources of fakes.
        labels: what each run is called; of all runs.
        evaluation: confidence and region of practical equivalence.
    """
    estimates = [resampling.trained_models(one, confidence=evaluation.confidence) for one in contrasts.values()]
    judged = verdicts.compare(estimates, evaluation.rope, evaluation.confidence)
    known = dict(zip(contrasts, judged, strict=True))
    found = []
    for name, label in labels.items():
        id_, question = f"sources.{name}", f"Does {label} separate sources of fakes rather than real from fake?"
        if name not in known:
            note = "There are fewer than two sources of fakes, or fewer than two groups."
            found.append(Finding(id=id_, question=question, verdict="not_run", note=note))
            continue
        row = comparison.told(known[name], len(known), evaluation.rope)
        found.append(tested(id_, question, row, _WORDS, measure="Δ adjusted accuracy"))
    return found


def together(own: Mapping[str, Estimate], labels: Mapping[str, str], evaluation: Evaluation) -> list[Finding]:
    """Return a finding a run: whether its features show first of all whose sample it is.

    Args:
        own: `Answer.own` of the runs that have it.
        labels: what each run is called.
        evaluation: confidence of the conclusions.
    """
    judged = verdicts.against_chance(list(own.values()), evaluation.rope, evaluation.confidence)
    return [
        tested(
            f"groups.{name}",
            f"Are most nearest neighbours in the features of {labels[name]} of the sample's own group?",
            comparison.told(verdict, len(judged), evaluation.rope),
            measure="share of neighbours",
        )
        for name, verdict in zip(own, judged, strict=True)
    ]


_COLUMNS = [
    *("experiment", "asked", "samples", "groups", "classes", "neighbours", "chance", "accuracy", "low", "high"),
    *("adjusted", "silhouette", "silhouette_low", "silhouette_high", "own_group", "own_group_chance"),
]


def ask(samples: pd.DataFrame, values: Floats, confidence: float) -> dict[str, Answer]:
    """Return what the neighbours in a feature space say of a sample's source and class.

    Neighbours are of the same fold, whose network gave the features, and never of the same group. The source is asked
    of fakes, among fakes.

    Args:
        samples: `label, source, group, fold`, a row a sample.
        values: its features, float [n, d], comparable within a fold only.
        confidence: of the intervals.

    Returns:
        By question, one that has two possible answers; none where no sample has neighbours.
    """
    fake = (samples["label"] == tables.FAKE).to_numpy()
    found = {}
    for question, rows, column in ((SOURCE, fake, "source"), (CLASS, np.ones(len(samples), bool), "label")):
        part, kept = samples[rows], values[rows]
        names, codes = np.unique(part[column].to_numpy(), return_inverse=True)
        if len(names) < 2:
            continue
        hit, silhouette, own, alike = np.zeros((4, len(part)))
        fewest, groups = NEIGHBOURS, part["group"].to_numpy()
        for fold in np.unique(part["fold"]):
            inside = np.flatnonzero(part["fold"] == fold)
            around = neighbours.nearest(kept[inside], groups[inside], NEIGHBOURS)
            _, local = np.unique(codes[inside], return_inverse=True)
            fewest = min(fewest, around.shape[1])
            hit[inside] = neighbours.hits(local, around)
            silhouette[inside] = neighbours.silhouettes(kept[inside], local)
            own[inside] = neighbours.own_group(kept[inside], groups[inside], NEIGHBOURS)
            alike[inside] = ((groups[inside] == groups[inside, None]).sum(axis=1) - 1) / max(1, len(inside) - 1)
        if not fewest:
            continue
        accuracy = neighbours.balanced_accuracy(hit, codes, groups)
        estimate = resampling.trained_models(accuracy, null=1 / len(names), confidence=confidence)
        adjusted = neighbours.balanced_accuracy(hit, codes, groups, adjusted=True)
        apart = mean_over_groups(silhouette, groups, confidence=confidence)
        row = {"asked": question, "samples": len(part), "groups": part["group"].nunique(), "classes": len(names)}
        row |= {"neighbours": fewest, "chance": 1 / len(names), "accuracy": estimate.value}
        row |= {"low": estimate.low, "high": estimate.high, "adjusted": float(adjusted.values[0])}
        row |= {"silhouette": apart.value, "silhouette_low": apart.low, "silhouette_high": apart.high}
        row |= {"own_group": own.mean(), "own_group_chance": alike.mean()}
        share = mean_over_groups(own, groups, bounded=True, confidence=confidence)
        found[question] = Answer(row, adjusted, share)
    return found


def projected(samples: pd.DataFrame, values: Floats) -> pd.DataFrame:
    """Return the samples of one fold on two axes, by t-SNE and by PCA: columns `method, sample_id, ..., x, y`.

    t-SNE is the exact one, from the first two principal components and without early exaggeration. With it, a
    difference in the last bit (another processor) ends in another picture, and here in no better one.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    inside = np.flatnonzero(samples["fold"] == samples["fold"].iloc[0])[:DRAWN]
    part, kept = samples.iloc[inside], values[inside].astype(np.float64)
    known = part[["sample_id", "source", "label", "fold"]]
    found, axes = [], np.zeros((len(part), 2))
    with threadpool_limits(1):
        if np.ptp(kept, axis=0).any():
            axes[:, : kept.shape[1]] = PCA(min(2, kept.shape[1]), svd_solver="full").fit_transform(kept)
        found.append(known.assign(method="PCA", x=axes[:, 0], y=axes[:, 1]))
        spread = axes[:, 0].std()
        if len(part) > 3 and spread > 0:
            tsne = TSNE(
                2,
                init=1e-4 * axes / spread,
                perplexity=min(_PERPLEXITY, (len(part) - 1) / 3),
                early_exaggeration=1.0,
                learning_rate=50.0,  # pyright: ignore[reportArgumentType]
                method="exact",
                random_state=0,
            )
            axes = tsne.fit_transform(kept)
            found.insert(0, known.assign(method="t-SNE", x=axes[:, 0], y=axes[:, 1]))
    both = pd.concat(found)
    return both[["method", *both.columns.drop("method")]]


def read(model: Case, samples: pd.DataFrame, progress: Progress = SILENT) -> Floats:
    """Return what each sample's logit is computed from, float [n, d]: by the network of the fold that held it out.

    Of a frozen trunk these are its features (`runs.features` keeps them), standardised as the fold's head does it.
    """
    rows = {int(str(fold)): part["row"].to_numpy(copy=True) for fold, part in samples.groupby("fold")}
    config = model.weights.config
    if config.train == "head":
        wanted = {fold: heads.wanted_of(model.weights, fold, model.file, np.sort(part)) for fold, part in rows.items()}
        heads.ensure(list(wanted.values()), progress)
    device = runtime.device()
    found: Floats | None = None
    for fold, part in rows.items():
        if config.train == "head":
            known = features.read(heads.wanted_of(model.weights, fold, model.file, part))
            path = paths().checkpoint(config.experiment, fold)
            head = checkpoint.head(config, path, known.shape[1])
            values = head.standardised(torch.from_numpy(known)).numpy()
        else:
            values = _computed(model, fold, part, device)
        found = np.zeros((len(samples), values.shape[1])) if found is None else found
        found[(samples["fold"] == fold).to_numpy()] = values
    assert found is not None
    return found


def _computed(model: Case, fold: int, rows: np.ndarray, device: torch.device) -> Floats:
    """Return what the classifier of a fold's network reads of images, [n, d]."""
    network = trained.model_of(model.weights, fold, device)
    loader = trained.loader_of(model.weights, fold, model.images, rows, device)
    parts = []
    with torch.inference_mode():
        for batch in loader.batches(rows, _BATCH):
            maps = network.forward_features(batch.images)  # pyright: ignore[reportCallIssue]
            parts.append(network.forward_head(maps, pre_logits=True).float().cpu().numpy())  # pyright: ignore
    return np.concatenate(parts)


def _drawn(verdicts_: pd.DataFrame) -> pd.DataFrame:
    """Return the samples that are looked at: all, or of each source and fold those first by a hash of their names."""
    each = max(1, MOST // verdicts_.groupby(["source", "fold"]).ngroups)
    order = verdicts_["sample_id"].map(runtime.derived_seed)
    return (
        verdicts_.assign(order=order).sort_values(["fold", "order", "sample_id"]).groupby(["source", "fold"]).head(each)
    )
