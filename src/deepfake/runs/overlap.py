"""What a trained fold has seen: what it must not be judged by, in whatever data set it stands."""

import pandas as pd

from deepfake import runtime, tables
from deepfake.config import RunConfig, config_of, facts_of
from deepfake.datasets import catalog, shared_identities, splits
from deepfake.errors import InputError
from deepfake.project import paths

_LEARNED = ("train", "validation")


def ancestry(experiment: str) -> list[str]:
    """Return an experiment and those it goes on from; of an ensemble those of its members."""
    found: list[str] = []
    waiting = [experiment]
    while waiting:
        name = waiting.pop(0)
        facts = facts_of(name)
        members = facts.get("ensemble", {}).get("experiments", [])
        parent = facts.get("start_from")
        waiting += members or ([parent] if parent else [])
        found += [] if members else [name]
    return list(dict.fromkeys(found))


def seen(experiment: str) -> pd.DataFrame:
    """Return what each fold of an experiment was trained or chosen on, its ancestors' folds included.

    Returns:
        One row a fold and sample: `fold`, `subset` (train or validation), `group` (across data sets) and `sha256`.

    Raises:
        InputError: an experiment has not been trained, or its data set's manifest is missing or another one by now.
    """
    known = catalog.load()
    parts = []
    for name in ancestry(experiment):
        dataset = config_of(name).dataset
        path = paths().manifest(dataset)
        manifest = tables.read(path, tables.MANIFEST)
        if runtime.file_hash(path) != facts_of(name)["manifest_sha256"]:
            raise InputError(f"{path}: not what {name} was trained on; train it again, or dvc repro")
        identity = manifest[["sample_id", "sha256"]].assign(group=shared_identities.groups(dataset, manifest, known))
        predictions = tables.read(paths().predictions(name), tables.PREDICTIONS)
        learned = predictions.loc[predictions["subset"].isin(_LEARNED), ["sample_id", "fold", "subset"]]
        parts.append(learned.merge(identity, on="sample_id", how="inner"))
    return pd.concat(parts, ignore_index=True)[["fold", "subset", "group", "sha256"]]


def named(manifest: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the manifest of a data set with groups named across data sets, as `seen` names them."""
    return manifest.assign(group=shared_identities.groups(dataset, manifest, catalog.load()))


def unseen(samples: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    """Tell which samples are new to a detector that has seen others.

    Args:
        samples: of a data set (`named`).
        known: rows of `seen`, of one fold.

    Returns:
        bool [n]: neither the file nor its group is known.
    """
    return ~samples["group"].isin(set(known["group"])) & ~samples["sha256"].isin(set(known["sha256"]))


def check_start(config: RunConfig, manifest: pd.DataFrame) -> None:
    """Check that an experiment can go on from another one's weights without having seen what it is judged or chosen by.

    Raises:
        InputError: the other one is of another model or has other folds; a fold of it knows samples that the same fold
            of this one holds out, or those of the test set; or it was trained on this one's inner validation.
    """
    assert config.start_from is not None
    parent = config_of(config.start_from)
    for key in ("model", "folds"):
        mine, theirs = getattr(config, key), getattr(parent, key)
        if mine != theirs:
            raise InputError(f"{config.experiment}: {key} {mine}, but {config.start_from} has {theirs}; use the same")
    if config.repeats > parent.repeats:
        raise InputError(
            f"{config.experiment}: repeats {config.repeats}, but {config.start_from} has {parent.repeats}; use as many"
        )
    known, numbered = seen(config.start_from), splits.numbered_folds(manifest)
    samples = named(manifest, config.dataset)
    for fold in range(config.trainings):
        of_fold = known[known["fold"] == fold]
        judged = pd.Series(((numbered == fold) | (numbered == tables.TEST_FOLD)).any(axis=1), index=manifest.index)
        parts = splits.subsets(
            manifest,
            fold,
            fraction=config.fraction,
            val_ratio=config.val_ratio,
            seed=config.seed,
            holdout=config.holdout,
            class_ratio=config.class_ratio,
        )
        chosen = parts.reindex(manifest.index) == "validation"
        trained = of_fold[of_fold["subset"] == "train"]
        _refuse_known(config, samples, judged, of_fold, f"fold {fold} holds out; set groups_of in the catalog")
        _refuse_known(
            config, samples, chosen, trained, f"fold {fold} is chosen on; use its fraction, val_ratio and seed"
        )


def _refuse_known(config: RunConfig, samples: pd.DataFrame, rows: pd.Series, known: pd.DataFrame, told: str) -> None:
    """Raise when some of the rows of a data set are known; `told` says what they are to the fold, and the remedy."""
    strangers = unseen(samples, known)
    if not strangers[rows].all():
        sample = samples.loc[rows & ~strangers, "sample_id"].iloc[0]
        raise InputError(
            f"{config.experiment}: {config.start_from} was trained on people or files of {config.dataset} ({sample}) "
            f"that {told}"
        )
