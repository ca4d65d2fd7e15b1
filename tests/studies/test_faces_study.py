import hashlib
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake import tables
from deepfake.config.params import Faces
from deepfake.evaluation import face_rates
from deepfake.modalities.image.faces import LANDMARKS
from deepfake.progress import Progress
from deepfake.project import paths
from deepfake.studies import faces
from deepfake.synthetic import landmarks, photographs
from heard import Heard

SETTINGS = Faces(detection_size=160, min_face=0.2, confidence=0.9, margin=0.3)
PEOPLE = (1, 2, 4, 7, 12)
OFFSET = {"portrait": (13, 40), "landscape": (9, 9)}
"""Where each photograph lies in its picture, in pixels; the landscape's is not all in the central square."""
CANVAS = {"portrait": (220, 330), "landscape": (420, 250)}


def picture(person: int, shape: str) -> Image.Image:
    """A photograph at twice its size, on grey."""
    gray = Image.fromarray(photographs.read(person, 1).pixels).resize((184, 224), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", CANVAS[shape], (100, 100, 100))
    canvas.paste(gray.convert("RGB"), OFFSET[shape])
    return canvas


def pictures() -> dict[str, Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (2, 90, 120, 3), dtype=np.uint8)
    return {
        **{f"portrait/{person}": picture(person, "portrait") for person in PEOPLE},
        **{f"noise/{row}": Image.fromarray(pixels) for row, pixels in enumerate(noise)},
        **{f"landscape/{person}": picture(person, "landscape") for person in PEOPLE},
    }


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> str:
    """Twelve pictures in an archive, and chunks so small that there are four of them, the last a part of one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(faces, "CHUNK", 4)
    monkeypatch.setitem(faces.BATCH, "cpu", 2)
    rows = []
    paths().raw("tiny").mkdir(parents=True)
    with zipfile.ZipFile(paths().raw("tiny") / "all.zip", "w") as archive:
        for name, image in [*pictures().items(), ("portrait/again", picture(1, "portrait"))]:
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            archive.writestr(name, buffer.getvalue())
            rows.append(
                {
                    "sample_id": name,
                    "clip_id": name,
                    "archive": "all.zip",
                    "path": name,
                    "dataset": "tiny",
                    "modality": "image",
                    "label": 0,
                    "source": name.split("/")[0],
                    "group": name,
                    "published": "",
                    "width": image.width,
                    "height": image.height,
                    "format": "PNG",
                    "mode": "RGB",
                    "fingerprint": "",
                    "notes": "",
                    "bytes": len(buffer.getvalue()),
                    "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
                }
            )
    tables.write(pd.DataFrame(rows), paths().samples("tiny"), tables.SAMPLES)
    tables.write(pd.DataFrame(rows), paths().media("tiny"), tables.MEDIA)
    return "tiny"


def run(settings: Faces = SETTINGS, **options) -> bytes:
    """Find all faces and return the table's bytes."""
    faces.run("tiny", settings, "opencv", **options)
    return paths().faces("tiny").read_bytes()


def test_faces_lie_where_the_photographs_were_put(dataset):
    run()
    found = tables.read(paths().faces(dataset), tables.FACES).set_index("sample_id")
    known = landmarks.load()  # found by another run of MTCNN, on the photographs at three times their size
    for shape in OFFSET:
        points = found.loc[[f"{shape}/{person}" for person in PEOPLE], LANDMARKS].to_numpy().reshape(-1, 5, 2)
        # the known points count from the middle of the first pixel, these from its edge
        expected = (np.stack([known[person, 1] for person in PEOPLE]) + 0.5) * 2 + OFFSET[shape]
        np.testing.assert_allclose(points, expected, atol=6)  # of 184 pixels
        assert np.abs((points - expected).mean(axis=(0, 1))).max() < 1.5
    assert (found.loc[["noise/0", "noise/1"]] == 0).all(axis=None)


def test_one_process_gives_the_same_bits_as_two(dataset, monkeypatch):
    results = []
    for cores in (1, 2):
        monkeypatch.setattr("deepfake.runtime.cores", lambda cores=cores: cores)
        results.append(run(progress=(heard := Heard())))
        assert [total for *_, total in heard.steps] == [13] * 4
        assert heard.steps[-1] == ("tiny: finding faces", 13, 13) and sorted(heard.steps) == heard.steps
    assert results[0] == results[1]


def test_a_job_that_is_begun_again_goes_on_where_it_was(dataset, monkeypatch):
    """As one is that found too little memory on a GPU."""

    def carried_out(find, jobs, *, on_news, remedy):
        def told(images: int) -> None:
            on_news(images)
            raise MemoryError

        for job in jobs:
            with pytest.raises(MemoryError):
                find(job, told)
            find(job, on_news)

    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    expected = run()
    monkeypatch.setattr(faces, "run_jobs", carried_out)
    assert run(progress=(heard := Heard())) == expected
    assert [done for _, done, _ in heard.steps] == [4, 8, 12, 13]


def interrupted(monkeypatch) -> None:
    """Run with one process that is stopped when it has finished two of four chunks."""

    class Stops(Progress):
        def advance(self, title: str, done: int, total: int) -> None:
            if done == 8:
                raise KeyboardInterrupt

    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        run(progress=Stops())
    assert not paths().faces("tiny").exists()


@pytest.mark.parametrize("cores", [1, 2])
def test_a_killed_run_goes_on_and_ends_the_same(dataset, monkeypatch, cores):
    interrupted(monkeypatch)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: cores)
    resumed = run(progress=(heard := Heard()))
    assert len(heard.steps) == 2 and heard.steps[-1][1] == 13
    assert not list(paths().scratch.iterdir())
    paths().faces("tiny").unlink()
    assert run() == resumed


@pytest.mark.parametrize(("change", "chunks"), [({"margin": 0.5}, 2), ({"confidence": 0.5}, 4)])
def test_only_what_the_same_settings_found_is_taken_over(dataset, monkeypatch, change, chunks):
    interrupted(monkeypatch)
    run(SETTINGS.model_copy(update=change), progress=(heard := Heard()))
    assert len(heard.steps) == chunks


def test_the_rates_are_written_beside_the_report(dataset):
    rates = faces.run(dataset, SETTINGS, "opencv")
    found = tables.read(paths().faces(dataset), tables.FACES)
    samples = tables.read(paths().samples(dataset), tables.SAMPLES)
    pd.testing.assert_frame_equal(rates, face_rates.summary(found, samples))
    written = pd.read_csv(paths().table("faces_tiny"))
    assert written.set_index("source")["found"].to_dict() == {"portrait": 6, "noise": 0, "landscape": 5}
