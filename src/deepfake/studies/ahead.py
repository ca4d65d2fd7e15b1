"""All trainings that are missing, in one process, before the stages that want them.

Each stage trains one experiment, and its process spends ten seconds on imports before it trains. So what is missing is
trained here first, folds of all experiments side by side; the stages then find it staged and take it.
Nothing depends on this: what it leaves out, or what was trained by other code, the stages train themselves.

DVC would skip a stage that leaves nothing wherever its dependencies are as they were, in a fresh clone too; so each one
leaves a mark (`mark`).
"""

import json
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from deepfake import layout, tables
from deepfake.config import SCALES, read_gate, resolve
from deepfake.errors import InputError, unknown
from deepfake.params import Params
from deepfake.studies import crossval
from deepfake.studies.launch import FoldNews

if TYPE_CHECKING:
    from deepfake.studies.fold import FoldJob


def experiments(stage: str, settings: Params, only: Collection[str] = ()) -> list[str]:
    """Return what a kind of stage trains: `train`, `explore`, or `scale`, those whose gate is open.

    Args:
        stage: the kind.
        settings: the checked params.yaml.
        only: those of them that are wanted; none: all.

    Raises:
        InputError: one that is wanted is none of them.
    """
    known = _experiments(stage, settings)
    for name in only:
        if name not in known:
            raise InputError(f"ahead {stage}: {unknown('experiment', name, known)}")
    return [name for name in known if name in only] if only else known


def _experiments(stage: str, settings: Params) -> list[str]:
    """Return all that a kind of stage trains."""
    if stage == "train":
        return [*settings.experiments, *settings.transfers]
    if stage == "explore":
        return [f"{name}{SCALES['small']}" for name in settings.candidates]
    chosen = [name for name in settings.candidates if read_gate(name).open]
    return [f"{name}{SCALES[fraction]}" for name in chosen for fraction in ("medium", "all")]


def mark(stage: str) -> None:
    """Write that what a kind of stage trains has been looked after; where this is missing, DVC has it done again.

    Each mark is a file of its own content: DVC would take another one's for it.
    """
    tables.write_text(json.dumps({"ahead": stage}) + "\n", layout.plan(f"ahead_{stage}"))


def run(
    names: Iterable[str],
    settings: Params,
    *,
    announce: Callable[[str], None] = lambda line: None,
    on_decode: Callable[[int, int], None] = lambda done, total: None,
    on_start: Callable[[], None] = lambda: None,
    on_news: Callable[[FoldNews], None] = lambda news: None,
) -> int:
    """Train the folds of those experiments whose results are missing; identical configurations once.

    Args:
        names: the experiments.
        settings: the checked params.yaml.
        announce: called with a line about what is about to be decoded.
        on_decode: called with the images decoded so far and their total.
        on_start: called when all is there and training begins.
        on_news: called when a fold has finished an epoch or itself.

    Returns:
        How many experiments were trained.

    Raises:
        InputError: one of them cannot be trained.
    """
    missing = {}
    for name in names:
        prepared = crossval.prepare(resolve(settings, name))
        if not crossval.is_finished(prepared):
            missing.setdefault(prepared.basis.key, prepared)
    waiting: list[FoldJob] = []
    for prepared in missing.values():
        waiting += crossval.jobs(prepared, announce=announce, on_decode=on_decode)
    if waiting:
        on_start()
        crossval.train(waiting, on_news)
    for prepared in missing.values():
        crossval.stage(prepared)
    return len(missing)
