"""Files of several samples each, such as clips and recordings: one after the other, a few samples at a time.

However long a file is, there are only as many of its samples in memory as a model sees at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import modalities
from deepfake.config import ViewConfig
from deepfake.config.images import Parts
from deepfake.inference.inputs import File
from deepfake.inference.reading import Other
from deepfake.inference.seeing import Eye, FaceFinder
from deepfake.inference.stream import ahead
from deepfake.modalities import base

BATCH = 64
"""Samples that are decoded, and in memory, at once."""
_MOST = 1 << 16
"""Samples of a file at most: three days of sound."""


@dataclass(frozen=True)
class Opened:
    """A file that can be judged.

    Args:
        spans: seconds at which each sample begins and ends, float [n, 2].
        faces: how many samples show a face; None where nobody looked.
        notes: what was odd about it.
        batches: its stored samples by view, up to `BATCH` at a time; raises whatever the modality does of a damaged
            file.
        words: what to say of such an error.
        pictures: samples for people, of a height in pixels.
    """

    spans: np.ndarray
    faces: int | None
    notes: str
    batches: Callable[[], Iterator[Mapping[str, np.ndarray]]]
    words: Callable[[Exception], str]
    pictures: Callable[[int], Iterator[np.ndarray]]


def opened(
    files: Sequence[File],
    views: Mapping[str, ViewConfig],
    *,
    parts: Parts,
    threads: int,
    finder: FaceFinder | None = None,
    cuda: bool = False,
) -> Iterator[tuple[File, Opened | Other | str]]:
    """Yield each file opened, or of which modality it is instead, or why it cannot be judged; the next one is ahead.

    Args:
        files: of `inputs.find`.
        views: what the detector looks through, by name; all of one modality.
        parts: into how many samples files are divided.
        threads: that decode and look for faces; they do not change the result.
        finder: finds faces, and the views that cut these out need it.
        cuda: whether to decode on the GPU where the modality can.
    """
    modality = modalities.load(next(iter(views.values())).modality)
    eyes = {name: Eye(modality, view, parts, threads=threads, cuda=cuda) for name, view in views.items()}
    with modality.quiet(), ThreadPoolExecutor(threads) as pool:
        look = partial(_Look(modality, views, parts, eyes, finder, threads, cuda).open, pool=pool)
        yield from ahead((file, look(file)) for file in files)


@dataclass(frozen=True)
class _Look:
    """What opens files; see `opened`."""

    modality: base.Modality
    views: Mapping[str, ViewConfig]
    parts: Parts
    eyes: Mapping[str, Eye]
    finder: FaceFinder | None
    threads: int
    cuda: bool

    def open(self, file: File, pool: ThreadPoolExecutor) -> Opened | Other | str:
        """Return a file opened, or why it is not."""
        if file.refused:
            return file.refused
        path = Path(file.path)
        if not self.modality.recognises(path) and (other := modalities.recognise(path)):
            return Other(other)
        try:
            medium = path if self.modality.STREAMED else path.read_bytes()
            facts = self.modality.glance(medium, self.parts)  # what is damaged is told by decoding
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        if isinstance(facts, str):
            return facts
        if len(facts) > _MOST:
            return f"{len(facts):,} {self.modality.PART}s, more than {_MOST:,}; cut it"
        rows = [(str(number), *fact) for number, fact in enumerate(facts)]
        samples = pd.DataFrame(rows, columns=list(self.modality.MEDIA.columns)).assign(clip_id="")
        return self._seen(medium, samples, pool)

    def _seen(self, medium: base.Medium, samples: pd.DataFrame, pool: ThreadPoolExecutor) -> Opened | str:
        """Return a file whose samples are known."""
        faces = None
        if self.finder is not None:
            view = self.finder.view(next(iter(self.views.values())))
            eye = Eye(self.modality, view, self.parts, threads=self.threads, cuda=self.cuda)
            shown = eye.regions(samples, None)
            try:
                seen = eye.decode([base.File(medium, eye.rows(samples, None))])
            except Exception as error:  # modalities raise what they like
                return eye.words(medium, error)
            faces = self.finder.largest(seen, shown, pool)
        wanted = {name: base.File(medium, eye.rows(samples, faces)) for name, eye in self.eyes.items()}
        first = next(iter(self.views))
        return Opened(
            self.modality.spans(samples, self.parts),
            None if faces is None else int((faces["faces"] > 0).sum()),
            str(samples["notes"].iloc[0]) if "notes" in samples else "",
            partial(self._batches, wanted, len(samples)),
            partial(self.eyes[first].words, medium),
            partial(self.modality.pictures, self.views[first], [wanted[first]]),
        )

    def _batches(self, wanted: Mapping[str, base.File], count: int) -> Iterator[Mapping[str, np.ndarray]]:
        """Yield stored samples by view, decoded ahead."""
        sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]
        streams = [base.rebatched(eye.stream([wanted[name]]), sizes) for name, eye in self.eyes.items()]
        yield from ahead(dict(zip(self.eyes, together, strict=True)) for together in zip(*streams, strict=True))
