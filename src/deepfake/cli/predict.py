"""The command that predicts user-supplied images, clips and recordings."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepfake.cli.verdict_lines import Lines
from deepfake.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deepfake.config.params import Params
    from deepfake.inference.inputs import File
    from deepfake.inference.verdicts import Failure, Verdict
    from deepfake.runs.detectors import Detector


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--run",
    "name",
    help="The trained run that predicts files of its own modality. [default: for each modality the study's final "
    "model, or else the best there is]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file, and nothing else, on stdout.")
@click.option("--faces/--no-faces", default=True, show_default=True, help="Look for faces.")
@click.option(
    "--recursive/--no-recursive", default=True, show_default=True, help="Read folders at any depth, or one level only."
)
@click.option(
    "--explain",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a picture of each clip and recording there: its frames or its sound, and their scores over time.",
)
def predict(
    paths: tuple[str, ...], name: str | None, as_json: bool, faces: bool, recursive: bool, explain: Path | None
) -> None:
    """Predict whether images, clips and recordings are real or fake: files, folders at any depth, or patterns.

    What a file is, its content says. Of images the first frame is read, upright by EXIF, transparency on white; of
    clips frames from the first to the last, of recordings windows of a few seconds (the section ingest of params.yaml),
    whose logits are pooled. Every fold's model predicts. A file is predicted fake when its calibrated logit, the mean
    over folds, reaches the threshold, the mean of theirs. No sample was held out from all folds, so that is an
    approximation. A run whose view cuts out faces scores each face of an image, and the largest score counts; in a clip
    it follows one face. A verdict about a picture without a face means little. Images are answered first, then clips,
    then recordings. The exit code is 2 when a file could not be judged, and when there is none.
    """
    # a progress bar takes sys.stdout over, which must not take the results along
    out = None if sys.stdout.isatty() else sys.stdout
    from deepfake import config, modalities
    from deepfake.cli import console
    from deepfake.inference import inputs, reading

    here = Path.cwd()
    files = inputs.find(paths, here, recursive=recursive)
    reading.require_media(files, paths)
    settings = config.load()
    # torch takes seconds: what can be told without it has been told
    from deepfake.inference import choice, mixed
    from deepfake.inference.verdicts import Failure

    runs = _Runs(settings, None if name is None else choice.named(name), faces)
    lines = Lines(out, as_json)
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    answered: dict[str, str] = {}
    folder = None if explain is None else here / explain
    with console.shown() as progress:
        found = mixed.predict(files, runs.detector_of, settings.faces if faces else None, settings.ingest)
        for step in found:
            kind = modalities.load(step.modality).FILE
            for answer in step.found:
                lines.show(answer, kind, *runs.told(step.modality))
                counts.update(_kinds(answer))
                kinds.update([] if isinstance(answer, Failure) else [kind])
                answered[answer.file] = getattr(answer, "notes", "")
                if folder is not None:
                    counts.update([_explain(answer, folder)])
            progress.advance("predicting", step.done, len(files))
    _conclude(counts, kinds, _remarks(files, answered), runs)


class _Runs:
    """The run of each modality that there are files of."""

    def __init__(self, settings: "Params", named: "Detector | None", faces: bool):
        """Keep how runs are chosen.

        Args:
            settings: the checked params.yaml.
            named: the run that the user names; None: the best of each modality.
            faces: whether faces are looked for.
        """
        self._settings, self._named, self._faces = settings, named, faces
        self.known: dict[str, tuple[Detector, str]] = {}
        """By modality, with its limits."""

    def detector_of(self, modality: str) -> "Detector":
        """Return the run for a modality, and say why it was chosen.

        Raises:
            InputError: there is none.
        """
        from deepfake import modalities
        from deepfake.inference import choice, limits

        detector = self._named
        if detector is None:
            detector, why = choice.best(self._settings, modality, faces=self._faces)
            click.echo(f"run: {why}", err=True)
        elif detector.modality != modality:
            mine, other = (modalities.load(kind).FILE for kind in (modality, detector.modality))
            raise InputError(f"{detector.name} judges {other}s and no {mine}s; leave --run out, or name another one")
        self.known[modality] = detector, limits.limits(detector, self._settings)
        return detector

    def told(self, modality: str) -> tuple[str, str]:
        """Return the name of a modality's run and its limits; nothing where there is none."""
        if modality not in self.known:
            return "", ""
        detector, known = self.known[modality]
        return detector.name, known


def _explain(answer: "Verdict | Failure", folder: Path) -> str:
    """Write a picture of what decided, and return what that counts for in the summary."""
    from deepfake.inference import strips
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return ""
    return "explained" if strips.write(answer, folder) else "unexplained"


def _kinds(answer: "Verdict | Failure") -> list[str]:
    """Return what a file counts for in the summary."""
    from deepfake.inference.verdicts import Failure

    if isinstance(answer, Failure):
        return ["failed"]
    faceless = ["faceless"] if answer.faceless else []
    crowded = ["crowded"] if len(answer.parts) > 1 and answer.pooled is None else []
    return ["fake" if answer.fake else "real", *faceless, *crowded]


def _remarks(files: "Sequence[File]", answered: "Mapping[str, str]") -> list[str]:
    """Return what was odd about files, and which nobody named and are no images.

    Args:
        files: all of them.
        answered: the notes of each file that was judged or could not be, by its name.
    """
    from deepfake.inference import inputs
    from deepfake.modalities.base import counted

    passed_over = inputs.described(file.name for file in files if file.name not in answered)
    noted = counted(answered.values())
    return [*([noted] if noted else []), *([f"passed over: {passed_over}"] if passed_over else [])]


def _conclude(counts: Counter[str], kinds: Counter[str], remarks: list[str], runs: _Runs) -> None:
    """Say what came out, and of which runs; fail when a file could not be judged.

    Args:
        counts: files by what they count for.
        kinds: those that were judged, by what people call them.
        remarks: what else is to be said.
        runs: that judged them.
    """
    from deepfake.inference import limits
    from deepfake.inference.inputs import counted

    judged = counts["fake"] + counts["real"]
    mixed = ", ".join(counted(count, kind) for kind, count in kinds.items()) if len(kinds) > 1 else ""
    text = f"{counted(judged, 'file')}{f' ({mixed})' if mixed else ''}: {counts['fake']} fake, {counts['real']} real"
    if counts["crowded"]:
        text += f"; {counts['crowded']} with several faces, where the largest score counts"
    if counts["faceless"]:
        text += f"; {counts['faceless']} without a face, where a verdict means little"
    if counts["unexplained"]:
        text += f"; {counts['unexplained']} not explained: of images there is no course of time"
    click.echo("; ".join([text, *remarks]), err=True)
    for detector, known in runs.known.values():
        click.echo(f"{limits.describe(detector)}; limits: {known}", err=True)
    if counts["failed"]:
        total = counted(judged + counts["failed"], "file")
        raise InputError(f"{counts['failed']} of {total} could not be judged; the reasons are listed with them")


COMMANDS = (predict,)
