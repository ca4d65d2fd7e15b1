"""Which run predicts when nobody names one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from deepfake import modalities, project, run_files
from deepfake.config import entries, read_final
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.errors import InputError, unknown
from deepfake.inference import limits
from deepfake.project import paths
from deepfake.runs import detectors
from deepfake.runs.detectors import Detector

_UNUSABLE = "not usable"
_TRAIN = "run deepfake train, or dvc repro"


class Choice(NamedTuple):
    """A run, and why it was chosen, in one line."""

    detector: Detector
    why: str


class _Candidate(NamedTuple):
    """A run that may be chosen.

    Args:
        name: of the run.
        unaudited: its views whose framing nobody audited, while that of others was.
        in_domain: whether it was trained on the study's data set; of modalities that the study's is not of, all are.
        dataset: what it was trained and judged on.
        fraction: share of the data set's development groups that it was trained and judged on.
        auc: its held-out AUC, None when unknown.
        parameters: their number.
    """

    name: str
    unaudited: tuple[str, ...]
    in_domain: bool
    dataset: str
    fraction: float
    auc: float | None
    parameters: int

    @property
    def samples(self) -> tuple[bool, str, float]:
        """Return what the AUCs of two candidates must have in common to be compared."""
        return bool(self.unaudited), self.dataset, self.fraction

    def place(self, popular: Mapping[str, int]) -> tuple[bool, bool, float, int, str, float, int, str]:
        """Return what candidates are sorted by, the best first.

        Args:
            popular: how many candidates there are on each data set.
        """
        auc = -1.0 if self.auc is None else self.auc
        first = bool(self.unaudited), not self.in_domain, -self.fraction, -popular[self.dataset], self.dataset
        return *first, -auc, self.parameters, self.name


def best(settings: Params, modality: str, *, faces: bool) -> Choice:
    """Return the study's final model (`Project.final`), or the best run there is where none has been chosen.

    Then considered are the finished runs trained on all sources and in their natural proportion, whose view can be
    shown of any file and does not predict the label by its framing (the table `probes`; without it nothing is refused).
    Where the study's data set is of the modality, only runs on that or on the union are. Runs with a view that is not
    in that table come last, and runs on the study's data set before those on the union. Held-out AUCs are compared only
    where they are of the same samples: runs on a larger share of the groups come first, then those on the data set that
    most runs are trained on, then the higher AUC counts, and of equals fewer parameters.

    Args:
        settings: the checked params.yaml.
        modality: of the files: a key of `modalities.MODALITIES`.
        faces: whether faces are looked for, which some views need.

    Raises:
        InputError: there is none, or the final model is not here.
    """
    is_home = _modality_of(settings) == modality
    if is_home and paths().final.exists():
        return _final()
    candidates, refused = _candidates(settings, modality, is_home, faces)
    failed: set[str] = set()
    popular = Counter(one.dataset for one in candidates)
    for one in sorted(candidates, key=lambda one: one.place(popular)):
        try:
            detector = detectors.read(one.name)
        except InputError:
            failed.add(one.name)
            refused[_UNUSABLE] += 1
            continue
        rivals = [other for other in candidates if other.samples == one.samples and other.name not in failed]
        return Choice(detector, _why(one, rivals) + _told(refused))
    which = "" if is_home else f" {modalities.load(modality).FILE}s"
    raise InputError(f"{paths().runs}: no run that can predict{which}{_told(refused)}; {_train(settings, modality)}")


def _modality_of(settings: Params) -> str:
    """Return the modality of the study's data set, which need not be here: that of the custom run's view."""
    return settings.views[settings.custom.view].modality


def _train(settings: Params, modality: str) -> str:
    """Return what to run in order to have a run of a modality."""
    views = {name for name, view in settings.views.items() if view.modality == modality}
    known = {name: entry.run for name, entry in entries(settings).items()}
    found = [name for name, run in known.items() if isinstance(run, Trained) and run.view in views]
    if not found:
        return f"write a run whose view is of modality {modality} into params.yaml, and run deepfake train"
    return f"run deepfake train {found[0]}, or dvc repro" if modality != _modality_of(settings) else _TRAIN


def _final() -> Choice:
    """Return the model that the study ends with."""
    name = read_final()
    if name not in _runs():
        raise InputError(
            f"{paths().final}: the study's final model is {name}, which is not in {paths().runs}; run dvc pull, or "
            f"deepfake train {name}, or name another one with --run"
        )
    return Choice(detectors.read(name), f"{name}: the study's final model")


def named(name: str) -> Detector:
    """Read the run of a name, which is that of a folder below `Project.runs` and no path.

    Raises:
        InputError: there is no such run, or as in `detectors.read`.
    """
    known = _runs()
    if name not in known:
        said = unknown("run", name, known) if known else "no run that can predict"
        raise InputError(f"{paths().runs}: {said}; {_TRAIN}")
    return detectors.read(name)


def _runs() -> list[str]:
    """Return the names of all runs that have a configuration."""
    return sorted(path.parent.name for path in paths().runs.glob(f"*/*/{run_files.RUN_CONFIG}"))


def _candidates(settings: Params, modality: str, is_home: bool, faces: bool) -> tuple[list[_Candidate], Counter[str]]:
    """Return the runs that may be chosen, and how many others there are by the reason why they are not.

    Runs of another modality are in neither.
    """
    audited = limits.framings(settings, modality)
    found: list[_Candidate] = []
    refused: Counter[str] = Counter()
    for name in _runs():
        try:
            facts = detectors.read_facts(name)
            if facts["view"]["modality"] != modality:
                continue
            members = facts["ensemble"]["experiments"] if facts["kind"] == "ensemble" else []
            parts = [facts, *(detectors.read_facts(member) for member in members)]
            homes = (settings.dataset, project.UNION) if is_home else tuple(part["dataset"] for part in parts)
            reason = _unfit(parts, homes, audited, faces)
            views = dict.fromkeys(part["view"]["view"] for part in parts)
            one = _Candidate(
                name,
                tuple(view for view in views if audited and view not in audited),
                not is_home or facts["dataset"] == settings.dataset,
                facts["dataset"],
                facts["fraction"],
                limits.auc_of(name),
                int(facts["parameters"]),
            )
        except (InputError, KeyError, TypeError, ValueError):
            reason, one = _UNUSABLE, None
        if reason or one is None:
            refused[reason] += 1
        else:
            found.append(one)
    return found, refused


def _unfit(parts: Sequence[dict[str, Any]], homes: Sequence[str], audited: Mapping[str, str], faces: bool) -> str:
    """Return why a run, or an ensemble and its members, is not chosen by itself, or nothing.

    Args:
        parts: their configurations.
        homes: the data sets that a run may be trained on.
        audited: of `_framings`.
        faces: whether faces are looked for.
    """
    for one in parts:
        view = one["view"]
        if one["dataset"] not in homes:
            return "trained on another data set"
        if one["holdout"] is not None or one["class_ratio"] is not None:
            return "trained without a source or out of proportion"
        if view["geometry"] == "letterbox_real":
            return "in need of labels"
        if view["face_margin"] is not None and not faces:
            return "in need of faces"
        if audited.get(view["view"]) == limits.SEVERE:
            return f"refused because {limits.framing(view['view'])}"
    return ""


def _why(one: _Candidate, rivals: Sequence[_Candidate]) -> str:
    """Return why a run was chosen.

    Args:
        one: the run.
        rivals: those whose AUC is of the same samples, and the run itself.
    """
    said = "AUC unknown"
    if one.auc is not None:
        share = "" if one.fraction == 1 else f"{one.fraction:.0%} of "
        known = sum(rival.auc is not None for rival in rivals)
        said = f"held-out AUC {one.auc:.3f} on {share}{one.dataset}, the highest of {known}"
    return "; ".join([f"{one.name}: {said}", *map(limits.unaudited, one.unaudited)])


def _told(refused: Counter[str]) -> str:
    """Return how many runs were not considered, and why."""
    counts = [f"{count} {reason}" for reason, count in refused.items() if count]
    return f" (not considered: {', '.join(counts)})" if counts else ""
