"""From params.yaml to runs: each trained one resolved to all that decides its numbers."""

from collections.abc import Container, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from deepfake import project
from deepfake.config.decisions import Decision
from deepfake.config.params import AnyAugmentation, Params
from deepfake.config.resolved import RunConfig
from deepfake.config.section import Fraction, first_mistake
from deepfake.config.sound import SoundAugmentation, SoundView
from deepfake.config.studies import BEST, AnyRun, FineTuned, Study, Trained, merge
from deepfake.config.training import PENALTIES, Domain, Loss, Probe, Shared
from deepfake.config.views import decided_view, resolve_view, sized
from deepfake.errors import InputError, unknown

SIMPLE_CNN, LCNN = "simple_cnn", "lcnn"
FROM_SCRATCH = (SIMPLE_CNN, LCNN)
"""Models that nobody has pretrained: those of `models.OWN`."""
PHASES = ("phase1", "phase2", "phase3", "phase4")
TRAINING = ("custom", *PHASES, "imbalance", "generalization", "audio", "video")
"""The studies that have runs of their own, each in a folder of its name below `Project.runs`."""


class Entry(NamedTuple):
    """A run, and the study that it belongs to."""

    study: str
    run: AnyRun


def entries(settings: Params) -> dict[str, Entry]:
    """Return all runs of the chosen preset by name, in the order of params.yaml; phase 4 has all that it may train.

    Raises:
        InputError: two studies have a run of the same name.
    """
    found: dict[str, Entry] = {}

    def add(study: str, name: str, run: AnyRun) -> None:
        if name in found:
            other = found[name].study
            raise InputError(
                f"studies.{study}.runs.{name}: {other} has a run of this name; choose another, or name that one in "
                "contrasts without listing it again"
            )
        found[name] = Entry(study, run)

    own = {"model": settings.model} | settings.custom.model_dump()
    if own["train"] is None:
        del own["train"]
    add("custom", project.CUSTOM_EXPERIMENT, Trained.model_validate(own))
    for study in TRAINING:
        section = getattr(settings.studies, study)
        if not isinstance(section, Study):
            continue
        for name, run in section.runs.items():
            if run.in_preset(settings.preset):
                add(study, name, run)
    for name, run in candidates(settings).items():
        for fraction in settings.studies.phase4.fractions:
            add("phase4", scaled(name, fraction), run.model_copy(update={"fraction": fraction}))
    return found


def candidates(settings: Params) -> dict[str, Trained]:
    """Return the runs of phase 3, which phase 4 chooses from."""
    runs = settings.studies.phase3.runs.items()
    return {name: run for name, run in runs if isinstance(run, Trained) and run.in_preset(settings.preset)}


def scaled(candidate: str, fraction: object) -> str:
    """Return the name of a candidate's run on a share of the data; `small` is phase 3's own."""
    return candidate if fraction == "small" else f"{candidate}_{fraction}"


def shares(settings: Params) -> list[Fraction]:
    """Return the shares of the data that phase 4 compares, phase 3's first."""
    return ["small", *settings.studies.phase4.fractions]


def size_of(settings: Params, share: Fraction) -> float:
    """Return a share of the data as a number, a word as the chosen preset means it."""
    return sized(settings.presets[settings.preset].fraction, share)


def table(settings: Params, name: str) -> dict[str, tuple[str, ...]]:
    """Return the runs of a comparison in order, each with the baselines that it is tested against.

    Raises:
        InputError: params.yaml plans no such contrasts.
    """
    known = tables_of(settings)
    if name not in known:
        raise InputError(f"studies: no table of contrasts is called {name}; add it to the contrasts of its study")
    return known[name]


def tables_of(settings: Params) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return all comparisons by name; a study with `baselines` has one of its own name.

    Raises:
        InputError: two comparisons have the same name.
    """
    known = entries(settings)
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    owners: dict[str, str] = {}

    def add(study: str, where: str, name: str, rows: dict[str, tuple[str, ...]]) -> None:
        if name in found:
            raise InputError(f"studies.{study}.{where}: {owners[name]} has a table called {name}; choose another name")
        found[name], owners[name] = rows, study

    for study in TRAINING:
        section = getattr(settings.studies, study)
        for name, contrasts in getattr(section, "contrasts", {}).items():
            add(study, f"contrasts.{name}", name, _rows(contrasts, known))
        if baselines := getattr(section, "baselines", ()):
            names = [name for name, entry in known.items() if entry.study == study]
            rows = {
                name: tuple(base for base in baselines if base in names[:place]) for place, name in enumerate(names)
            }
            add(study, "baselines", study, rows)
    return found


def _rows(contrasts: Mapping[str, tuple[str, ...]], known: Container[str]) -> dict[str, tuple[str, ...]]:
    """Return the rows of a table: each run after its baselines; of contrasts, those whose runs the preset has."""
    here = {run: tuple(base for base in bases if base in known) for run, bases in contrasts.items() if run in known}
    rows: dict[str, tuple[str, ...]] = {}
    for run, baselines in here.items():
        for base in baselines:
            rows.setdefault(base, here.get(base, ()))
        rows[run] = baselines
    return rows


def resolve(settings: Params, name: str, decision: Decision | None = None) -> RunConfig:
    """Resolve a trained run: its values laid over `shared`, with the sizes of the chosen preset.

    Args:
        settings: the checked params.yaml.
        name: of a run that is trained or fine-tuned.
        decision: what phase 2 decided, for runs whose view or augmentation is `best`.

    Raises:
        InputError: no such run, its values do not fit `shared`, or nothing has been decided yet.
    """
    known = entries(settings)
    if name not in known:
        raise InputError(f"studies: {unknown('run', name, known)}")
    study, run = known[name]
    where = "custom" if study == "custom" else f"studies.{study}.runs.{name}"
    if not isinstance(run, Trained):
        raise InputError(f"{where}: {run.kind}, it is not trained; name a run that is")
    preset = settings.presets[settings.preset]
    role = preset.roles.get(run.model)
    if "test_ratio" in run.overlay:
        raise InputError(
            f"{where}.test_ratio: all runs share one test set; change presets.{settings.preset}.test_ratio"
        )
    shared = _shared(settings, run, where)
    repeats = preset.repeats if shared.repeats is None else shared.repeats
    if repeats > preset.repeats:
        raise InputError(
            f"{where}.repeats: {repeats}, but presets.{settings.preset} has {preset.repeats}; raise that one"
        )
    model = role.model if role else run.model
    view, policy = _decided(settings, run, decision, where)
    augmentation = _augmentation(settings, policy, where)
    seen = settings.views.get(view)
    if augmentation and seen and isinstance(seen, SoundView) != isinstance(augmentation, SoundAugmentation):
        raise InputError(f"{where}.augmentation: {policy} is no policy for view {view}; choose one of its modality")
    dataset = run.dataset or settings.dataset
    train = _trained_part(run, shared, where)
    pretrained = _pretrained(run, model, train, preset.pretrained)
    resolved = RunConfig(
        experiment=name,
        study=study,
        model=model,
        dataset=dataset,
        preset=settings.preset,
        view=resolve_view(settings, view, f"{where}.view", dataset),
        train=train,
        probe=_probe(settings, run, shared, augmented=augmentation is not None),
        pooling=shared.pooling,
        fraction=size_of(settings, shared.fraction),
        folds=preset.folds,
        repeats=repeats,
        epochs=sized(preset.epochs, shared.epochs),
        batch_size=shared.batch_size,
        lr=sized(preset.lr, shared.optimizer.lr),
        weight_decay=shared.optimizer.weight_decay,
        monitor=shared.monitor,
        early_stopping_patience=shared.early_stopping_patience,
        loss=_in_force(shared.loss),
        sampler=shared.sampler,
        class_ratio=settings.studies.imbalance.ratio if shared.class_ratio == "imbalanced" else None,
        domain=shared.domain if shared.domain.column != "none" else _NO_DOMAIN,
        grad_clip=shared.grad_clip,
        precision=shared.precision,
        keep_optimizer=shared.keep_optimizer,
        normalization=settings.imagenet if shared.normalization == "imagenet" else None,
        augmentation=augmentation,
        pretrained=pretrained,
        start_from=run.start_from if isinstance(run, FineTuned) else None,
        holdout=shared.holdout,
        oversampling=settings.cache.oversampling if augmentation and augmentation.resamples else None,
        seed=shared.seed,
        val_ratio=preset.val_ratio,
        num_workers=shared.num_workers,
    )
    return _head(resolved, where) if train == "head" else resolved


def _shared(settings: Params, run: Trained, where: str) -> Shared:
    """Return `shared` with a run's own values laid over it."""
    role = settings.presets[settings.preset].roles.get(run.model)
    overlay = ({"train": role.train} if role else {}) | run.overlay
    try:
        return Shared.model_validate(merge(settings.shared.model_dump(), overlay))
    except ValidationError as error:
        raise InputError(first_mistake(error, Shared, where)) from None


def _trained_part(run: Trained, shared: Shared, where: str) -> str:
    """Return what of a run is trained."""
    if not isinstance(run, FineTuned):
        return shared.train
    if run.overlay.get("train") == "head":
        raise InputError(f"{where}.train: a fine-tuned run trains all layers; remove train: head, or kind: fine-tuned")
    return "all"


def _probe(settings: Params, run: Trained, shared: Shared, *, augmented: bool) -> Probe | None:
    """Return what a run's linear head sees, if it has one: draws that nobody draws are 1."""
    if not isinstance(run, FineTuned):
        unused = {} if augmented else {"draws": 1}
        return shared.probe.model_copy(update=unused) if shared.train == "head" else None
    first = entries(settings).get(run.start_from)  # whether there is one is for `names` to say
    if first is None or not isinstance(first.run, Trained) or isinstance(first.run, FineTuned):
        return None
    start = _shared(settings, first.run, f"studies.{first.study}.runs.{run.start_from}")
    return _probe(settings, first.run, start, augmented=False)


def _head(config: RunConfig, where: str) -> RunConfig:
    """Return a run of `train: head` with all that a fit of its head does not use made neutral.

    Raises:
        InputError: its trunk has no weights, or it asks for what only gradient descent can do.
    """
    if config.model in FROM_SCRATCH:
        raise InputError(f"{where}.train: head needs a pretrained trunk; choose a timm backbone, or train: all")
    if not config.pretrained:
        raise InputError(f"{where}.train: head needs a pretrained trunk; set pretrained: true, or train: all")
    if config.loss.label_smoothing:
        raise InputError(f"{where}.loss: a head is fitted to hard labels; set label_smoothing: 0.0, or train: all")
    if config.domain.column != "none":
        raise InputError(f"{where}.domain: domains need train: all, a frozen trunk learns nothing; set column: none")
    return config.model_copy(
        update={
            "epochs": len(PENALTIES),
            "batch_size": 0,
            "lr": 0.0,
            "weight_decay": 0.0,
            "monitor": "auc",
            "early_stopping_patience": len(PENALTIES),
            "sampler": "shuffle" if config.sampler == "stratified" else config.sampler,
            "grad_clip": 0.0,
            "precision": "fp32",
            "keep_optimizer": False,
        }
    )


def _decided(settings: Params, run: Trained, decision: Decision | None, where: str) -> tuple[str, str]:
    """Return a run's view and policy, those that phase 2 decided where it says so."""
    if BEST not in (run.view, run.augmentation):
        return run.view, run.augmentation
    if decision is None:
        raise InputError(f"{where}: nothing has been decided yet; run deepfake phase2, or dvc repro")
    view = decided_view(settings, decision) if run.view == BEST else run.view
    return view, decision.augmentation if run.augmentation == BEST else run.augmentation


def _pretrained(run: Trained, model: str, train: str, preset: bool) -> bool:
    """Tell whether a run starts from ImageNet weights, which one that goes on from another one does not."""
    possible = model not in FROM_SCRATCH and not isinstance(run, FineTuned)
    default = preset or train == "head"  # without weights there is nothing to freeze
    return possible and (default if run.pretrained is None else run.pretrained)


_NO_DOMAIN = Domain(column="none", weight=0.0, schedule="constant")


def _in_force(loss: Loss) -> Loss:
    """Return a loss whose unused values are neutral: a change of what a run does not use is no change of the run."""
    return loss if loss.type == "focal" else loss.model_copy(update={"gamma": 0.0, "minority_alpha": 0.5})


def title(settings: Params, name: str, dataset: str) -> str:
    """Return what results are called: those of another data set than the study's are nobody's but the user's own."""
    return name if dataset == settings.dataset else f"own_{dataset}_{name}"


def _augmentation(settings: Params, name: str, where: str) -> AnyAugmentation | None:
    """Return a policy by its name, None when it changes nothing."""
    if name not in settings.augmentations:
        raise InputError(f"{where}.augmentation: {unknown('policy', name, settings.augmentations)}")
    policy = settings.augmentations[name]
    return None if policy.changes_nothing else policy
