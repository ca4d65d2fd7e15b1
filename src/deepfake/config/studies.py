"""The section of params.yaml that says what each study trains and compares: runs, and planned contrasts."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from deepfake.config.analysis import Severity
from deepfake.config.section import Fraction, Ratio, Section

BEST = "best"
"""Instead of a view or a policy: the one that phase 2 decided for."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What can name a run: its folder is called so."""


def _all_may_come_from_base(schema: dict[str, Any]) -> None:
    """Say in the JSON schema that a trained run may leave out each key but a kind: `base` may have it."""
    schema["required"] = [key for key in schema["required"] if key == "kind"]


class Run(Section):
    """What all kinds of runs have in common."""

    presets: tuple[str, ...] = ()
    """The presets that have this run; none named: all."""

    def in_preset(self, preset: str) -> bool:
        """Tell whether a preset has this run."""
        return not self.presets or preset in self.presets


class Trained(Run):
    """A detector that is trained; any key of `shared` may be overridden beside those listed here."""

    model_config = ConfigDict(extra="allow", frozen=True, json_schema_extra=_all_may_come_from_base)

    kind: Literal["trained"] = "trained"
    model: str
    """`simple_cnn` or the name of any timm backbone."""
    view: str
    """A key of `views`, or `best`."""
    augmentation: str = "none"
    """A key of `augmentations`, or `best`."""
    dataset: str | None = None
    """What it is trained on: a data set in use, or `union`; null: the study's own."""
    pretrained: bool | None = None
    """Whether it starts from ImageNet weights; null: as the preset says."""
    rationale: str = ""
    """Phase 3: why this architecture is a candidate, as its table says."""
    ranked: bool = True
    """Phase 3: whether phase 4 may choose it."""

    @property
    def overlay(self) -> dict[str, Any]:
        """Return what it overrides of `shared`."""
        return self.model_extra or {}


class FineTuned(Trained):
    """A trained detector whose every fold goes on from the same fold of another run."""

    kind: Literal["fine-tuned"]  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    start_from: str
    """The run that it goes on from."""


class Reevaluated(Run):
    """A trained run that predicts all its samples again, as another view shows them; nothing is trained."""

    kind: Literal["re-evaluated"]
    of: str
    """The trained run."""
    view: str


class Ensemble(Run):
    """Trained runs that decide together, by a weighted sum of their logits."""

    kind: Literal["ensemble"]
    members: Annotated[tuple[str, ...], Field(min_length=2)]
    """Runs of the same folds and the same inner validation."""
    weights: Literal["mean", "fitted"]
    """`mean`: all alike; `fitted`: a logistic regression on each fold's inner validation."""

    @field_validator("members")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _once(value)


def _once(names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse what stands there more than once."""
    if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"{repeated[0]} stands there more than once")
    return names


AnyRun = Annotated[Trained | FineTuned | Reevaluated | Ensemble, Field(discriminator="kind")]
TRAINED_KINDS = ("trained", "fine-tuned")


def _listed(value: Any) -> Any:
    """Return one name as a list of it."""
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])]
"""One name, or a list."""


class Contrasts(Section):
    """Which runs a study compares; those of another study may be named, too."""

    contrasts: dict[str, dict[str, Names]] = Field(default_factory=dict)
    """For each table its runs, each with the baselines that it is tested against."""


class Study(Contrasts):
    """Runs that are trained and compared under one question."""

    base: dict[str, Any] = Field(default_factory=dict)
    """What its trained runs have in common: each run's own values are laid over these."""
    runs: dict[str, AnyRun]
    baselines: tuple[str, ...] = ()
    """Instead of a table of contrasts: every run of the study is tested against those of these that stand before it."""

    @model_validator(mode="before")
    @classmethod
    def _laid_over_base(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("runs"), dict):
            return value
        base = value.get("base") or {}
        return value | {"runs": {name: _laid_over(base, entry) for name, entry in value["runs"].items()}}

    @field_validator("runs")
    @classmethod
    def _some(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not value:
            raise ValueError("a study without runs; name at least one")
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name a run's folder; use letters, digits, _, - and .")
        return value

    @field_validator("base")
    @classmethod
    def _kindless(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "kind" in value:
            raise ValueError("a kind is each run's own; name it there")
        return value


def _laid_over(base: Any, entry: Any) -> Any:
    """Lay a run's own values over those of its study, where it is of a kind that is trained."""
    if not isinstance(base, dict) or not isinstance(entry, dict):
        return entry
    entry = {"kind": "trained"} | entry
    return merge(base, entry) if entry["kind"] in TRAINED_KINDS else entry


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay a sparse overlay on nested values."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


class Scaling(Section):
    """Phase 4: the best runs of phase 3 on larger shares of the data."""

    fractions: Annotated[tuple[Fraction, ...], Field(min_length=1)]
    """The shares, the largest last; each chosen run of phase 3 is trained on every one."""

    @field_validator("fractions")
    @classmethod
    def _others(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if "small" in value:
            raise ValueError("small is the share of phase 3's own runs; name larger ones")
        return _once(value)


class Imbalance(Study):
    """The study of class imbalance: what it is trained on, and which thresholds it examines."""

    ratio: Annotated[float, Field(gt=0)]
    """Fakes for each real under `class_ratio: imbalanced`."""
    thresholds: tuple[Ratio, ...]
    """Probabilities of being fake that the threshold table shows beside the tuned ones."""
    detail: tuple[str, ...]
    """Runs that are shown at every threshold, with confusion matrices and a classification report."""


class Generalization(Study):
    """The comparison across data sets: what a detector is worth on data that it was not trained on."""

    datasets: tuple[str, ...]
    """Data sets of the catalog beside the study's."""
    union: tuple[str, ...]
    """Those of them that are joined with the study's into the data set `union`, to be trained on."""

    @field_validator("datasets", "union")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _once(value)

    @model_validator(mode="after")
    def _known(self) -> "Generalization":
        if strange := [name for name in self.union if name not in self.datasets]:
            raise ValueError(f"union: {', '.join(strange)} must stand in datasets, too")
        return self


class OwnData(Study):
    """A study of data sets of its own, of any modality: what is learned on the first, and what holds on the others."""

    dataset: str
    """A data set of the catalog, of any modality, that its runs are trained on."""
    others: tuple[str, ...] = ()
    """Data sets of the same modality that its runs are asked about, too: they are out-of-domain."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return all its data sets, the one that runs are trained on first."""
        return self.dataset, *self.others

    @model_validator(mode="before")
    @classmethod
    def _trained_on_it(cls, value: Any) -> Any:
        """Say what all runs are trained on; those that name another data set are refused below."""
        if not isinstance(value, dict) or not isinstance(value.get("base") or {}, dict):
            return value
        return value | {"base": {"dataset": value.get("dataset")} | (value.get("base") or {})}

    @field_validator("others")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _once(value)

    @model_validator(mode="after")
    def _on_it(self) -> "OwnData":
        for name, run in self.runs.items():
            if isinstance(run, Trained) and run.dataset != self.dataset:
                raise ValueError(
                    f"runs.{name}.dataset: {run.dataset}, but runs of this study are trained on {self.dataset}"
                )
        return self


class Clips(OwnData):
    """The study of clips."""

    counts: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1, 2, 4, 8)
    """So many frames of each clip are pooled, as far as it has them, spread evenly over those that there are; each
    number is held against the first."""

    @field_validator("counts")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("numbers of frames must ascend")
        return value


class Shortcuts(Section):
    """The search for shortcuts."""

    severity: Severity
    views: tuple[str, ...]
    """Views whose pixels are probed beside the files themselves."""
    runs: tuple[str, ...]
    """Trained runs whose logits are held against the shortcuts."""
    caliper: Annotated[float, Field(gt=0)]
    """How alike a real and a fake must be to be matched: the largest difference of the probe's score, in its standard
    deviations."""


class Robustness(Section):
    """Trained detectors under corruption: five strengths of each, from weak to strong."""

    runs: tuple[str, ...]
    """Trained runs that are examined."""
    corruptions: dict[str, tuple[float, float, float, float, float]]
    """Strengths of each corruption, by a name that the runs' modality knows, where its unit stands."""


class Studies(Section):
    """All studies, in the order of the report."""

    custom: Contrasts
    """What the custom run (`model`, `custom`) is compared with."""
    phase1: Study
    phase2: Study
    phase3: Study
    phase4: Scaling
    imbalance: Imbalance
    generalization: Generalization
    audio: OwnData | None = None
    """Speech: recordings against copies of them that vocoders made; none: there is no such study."""
    video: Clips | None = None
    """Clips: a verdict on frames against one on the whole clip; none: there is no such study."""
    shortcuts: Shortcuts
    robustness: Robustness
