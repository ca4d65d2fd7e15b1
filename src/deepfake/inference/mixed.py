"""Files of several modalities, each judged by a run of its own modality."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deepfake import modalities
from deepfake.config.images import Parts
from deepfake.config.params import Faces
from deepfake.errors import InputError
from deepfake.inference import reading, verdicts
from deepfake.inference.inputs import File
from deepfake.inference.verdicts import Failure, Verdict
from deepfake.runs.detectors import Detector


class Step(NamedTuple):
    """What is known after some more files.

    Args:
        done: files that are behind us, those that were passed over among them.
        modality: of those that were found.
        found: one for each new file that was judged or could not be.
    """

    done: int
    modality: str
    found: list[Verdict | Failure]


def predict(
    files: Sequence[File],
    detector_of: Callable[[str], Detector],
    faces: Faces | None,
    parts: Parts,
) -> Iterator[Step]:
    """Yield verdicts on files, one modality after the other in the order of `MODALITIES`, each in the files' order.

    Args:
        files: of `inputs.find`.
        detector_of: gives the run for a modality once it is needed; an InputError says why there is none.
        faces: as in `verdicts.predict`; likewise the others.
        parts: into how many samples files are divided.

    Raises:
        InputError: there is no run for the only modality that there is, or as in `verdicts.predict`.
    """
    waiting = reading.sort(files)
    done = len(files) - sum(map(len, waiting.values()))
    is_first = True
    while waiting:
        name = next(name for name in modalities.MODALITIES if name in waiting)
        mine = waiting.pop(name)
        try:
            detector = detector_of(name)
            verdicts.check_views(detector, faces is not None)
        except InputError as error:
            mine = _without_others(mine, name, waiting)
            if is_first and not waiting:
                raise
            is_first = False
            done += len(mine)
            yield Step(done, name, [Failure(file.name, file.refused or str(error)) for file in mine])
            continue
        is_first, before, moved = False, done, 0
        for answers in verdicts.predict(detector, mine, faces, parts):
            for file, other in answers.others:
                waiting.setdefault(other, []).append(file)
            moved += len(answers.others)
            done = before + answers.done - moved
            yield Step(done, name, answers.found)


def _without_others(files: Sequence[File], modality: str, waiting: dict[str, list[File]]) -> list[File]:
    """Return the files that are of a modality by their content, too; others are put where they belong."""
    kept = []
    for file in files:
        other = "" if file.refused else modalities.recognise(Path(file.path))
        (kept if other in ("", modality) else waiting.setdefault(other, [])).append(file)
    return kept
