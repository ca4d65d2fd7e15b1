"""The traps of DALI that the design names, each with the test that it is not stepped into."""

import gc
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from conftest import as_shown, encoded
from deepfake.config.params import Augmentation
from deepfake.modalities.image.augmentation import AugmentationPlan
from deepfake.modalities.image.encoded import Encoded
from jpegs import ARITHMETIC, LOSSLESS
from policies import EVERYTHING, policy

dali = pytest.importorskip("deepfake.modalities.image.dali")

CPU = torch.device("cpu")


def natural(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return smooth colours with some texture."""
    pixels = np.random.default_rng(seed).normal(127, 400, (height, width, 3))
    return ndimage.gaussian_filter(pixels, (2, 2, 0.4)).clip(0, 255).astype(np.uint8)


def a_file(number: int, *, plain: bool) -> Encoded:
    width, height = 40 + number % 7, 30 + number % 5
    pixels = natural(width, height, number)
    data = encoded(pixels, "JPEG") if plain else encoded(pixels, "PNG")
    return Encoded(data, (2, -3, 2 + 27, -3 + 27), plain)


# --- decoding


@pytest.mark.parametrize("which", [[0, 1] * 6, [1] * 80, [0] * 5, [1]], ids=["mixed", "many", "no plain", "one"])
def test_each_file_lands_at_its_own_place(which):
    files = [a_file(number, plain=bool(plain)) for number, plain in enumerate(which)]
    batches = [files[:7], files[7:]] if len(files) > 7 else [files]
    found = np.concatenate(list(dali.decode(batches, 27, threads=2)))
    # the region is as large as the result, so nothing is resized
    np.testing.assert_array_equal(found, [as_shown(file.data, file.region, 27) for file in files])


def test_dali_is_never_given_an_empty_batch(monkeypatch):
    monkeypatch.setattr(dali._Decoder, "decode", None)
    assert [len(part) for part in dali.decode([[a_file(0, plain=False)], []], 8, threads=1)] == [1, 0]


def test_threads_do_not_change_a_pixel():
    files = [a_file(number, plain=True) for number in range(20)]
    one, three = (np.concatenate(list(dali.decode([files], 16, threads=threads))) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("cuda", [False, True])
def test_fast_idct_is_off_and_hw_decoder_load_is_set(monkeypatch, cuda):
    options = {}
    decoders = dali.fn.decoders.image
    monkeypatch.setattr(
        dali.fn.decoders, "image", lambda *a, **given: (options.update(given), decoders(*a, **given))[1]
    )
    pipeline = dali.decoder(16, threads=2, cuda=cuda)
    pipeline._build_graph()  # without a GPU, that is as far as it goes
    assert options["device"] == ("mixed" if cuda else "cpu")
    assert options["use_fast_idct"] is False
    assert options["jpeg_fancy_upsampling"] is True
    assert options["hw_decoder_load"] == 0.0


def test_there_are_no_python_workers():
    decoder = dali.decoder(16, threads=1, cuda=False)
    augment = dali.augmenter(policy(), source=8, size=8, batch_size=2, device=CPU)
    assert decoder._py_num_workers == 0
    assert augment._pipeline._py_num_workers == 0


def test_a_gray_jpeg_becomes_rgb():
    gray = natural(20, 20)[..., 0]
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, "JPEG", quality=95)
    file = Encoded(stream.getvalue(), (0, 0, 20, 20), plain=True)
    (found,) = dali.decode([[file, a_file(0, plain=True)]], 20, threads=1)
    expected = np.asarray(Image.open(stream))
    np.testing.assert_array_equal(found[0], np.dstack([expected] * 3))


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", UnidentifiedImageError), (b"text", UnidentifiedImageError), (encoded(natural(40, 40))[:900], OSError)],
    ids=["empty", "text", "truncated"],
)
def test_a_damaged_file_is_pils_error_and_the_next_decoding_works(data, error):
    good = a_file(0, plain=True)
    with pytest.raises(error):
        list(dali.decode([[good, Encoded(data, (0, 0, 8, 8), plain=False)]], 27, threads=2))
    (found,) = dali.decode([[good]], 27, threads=2)
    np.testing.assert_array_equal(found[0], as_shown(good.data, good.region, 27))


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", UnidentifiedImageError), (encoded(natural(40, 40), "JPEG")[:700], OSError)],
    ids=["empty", "truncated"],
)
def test_even_a_damaged_plain_file_stops_one_decoding_only(data, error):
    good = a_file(0, plain=True)
    with pytest.raises(error):
        list(dali.decode([[good, Encoded(data, (0, 0, 8, 8), plain=True)]], 27, threads=2))
    (found,) = dali.decode([[good]], 27, threads=2)
    np.testing.assert_array_equal(found[0], as_shown(good.data, good.region, 27))


@pytest.mark.parametrize("foreseen", [True, False])
def test_what_dali_cannot_decode_is_pils_and_changes_nothing_beside_it(monkeypatch, foreseen):
    pixels = (np.arange(24)[None] * 9 + np.arange(16)[:, None] * 5).astype(np.uint8)
    if foreseen:
        assert dali._stored(Encoded(LOSSLESS, (0, 0, 16, 16), plain=True)) is None
    else:  # as if its header were as usual
        monkeypatch.setattr(dali, "_stored", lambda file: dali._Stored(file, file.data, file.region, None))
        with pytest.raises(RuntimeError, match="Failed to decode"):
            dali._Decoder(16, 1, cuda=False)._run([dali._stored(Encoded(LOSSLESS, (0, 0, 16, 16), plain=True))])
    good = [a_file(number, plain=True) for number in range(40)]
    (alone,) = dali.decode([good], 19, threads=2)
    files = [*good[:3], Encoded(LOSSLESS, (4, 0, 20, 16), plain=True), *good[3:]]
    found, again = dali.decode([files, good], 19, threads=2)
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), alone)
    np.testing.assert_array_equal(again, alone)
    (exact,) = dali.decode([[Encoded(LOSSLESS, (4, 0, 20, 16), plain=True)]], 16, threads=1)
    np.testing.assert_array_equal(exact[0], np.dstack([pixels[:, 4:20]] * 3))


@pytest.mark.parametrize(
    ("data", "usual"),
    [
        (encoded(natural(24, 16), "JPEG"), True),
        (encoded(natural(24, 16), "JPEG", progressive=True), True),
        (encoded(natural(24, 16), "JPEG", comment=b"words"), True),
        (ARITHMETIC, False),
        (LOSSLESS, False),
        (encoded(natural(24, 16), "JPEG").replace(b"\xff\xdb", b"junk\xff\xdb", 1), False),
        (encoded(natural(24, 16), "PNG"), False),
    ],
    ids=["baseline", "progressive", "comment", "arithmetic", "lossless", "junk", "no JPEG"],
)
def test_dali_gets_headers_that_it_survives(data, usual):
    file = Encoded(data, (0, 0, 16, 16), plain=True)
    assert (dali._stored(file) is not None) == usual
    (found,) = dali.decode([[file]], 16, threads=1)
    np.testing.assert_array_equal(found[0], as_shown(data, (0, 0, 16, 16), 16))


@pytest.mark.parametrize("which", ["two segments", "broken, then another"])
def test_dali_is_kept_from_exif_that_ends_its_process(which):
    """In a process of its own: DALI 2.4.0, left to turn a JPEG upright, dies of a second EXIF segment."""
    script = (
        "import io, struct, sys\n"
        "import numpy as np\n"
        "from PIL import Image\n"
        "from deepfake.modalities.image import dali\n"
        "from deepfake.modalities.image.encoded import Encoded\n"
        "exif, stream = Image.Exif(), io.BytesIO()\n"
        "exif[0x0112] = 6\n"
        "Image.effect_noise((9, 6), 90).convert('RGB').save(stream, 'JPEG')\n"
        "data = stream.getvalue()\n"
        "first = exif.tobytes() if sys.argv[1] == 'two segments' else b'Exif\\0\\0' + bytes(8)\n"
        "for part in (exif.tobytes(), first):\n"
        "    data = data[:20] + b'\\xff\\xe1' + struct.pack('>H', len(part) + 2) + part + data[20:]\n"
        "turned = sys.argv[1] == 'two segments'\n"
        "pixels = np.asarray(Image.open(stream))\n"
        "expected = np.rot90(pixels, -1) if turned else pixels\n"
        "region = (0, 0, 6, 6)\n"
        "(found,) = dali.decode([[Encoded(data, region, True)]], 6, threads=1)\n"
        "np.testing.assert_array_equal(found[0], expected[:6, :6])\n"
    )
    subprocess.run([sys.executable, "-c", script, which], check=True)


def test_decoding_needs_no_torch():
    script = (
        "import io, sys\n"
        "from PIL import Image\n"
        "from deepfake.modalities.image import dali\n"
        "from deepfake.modalities.image.encoded import Encoded\n"
        "stream = io.BytesIO()\n"
        "Image.new('RGB', (9, 9)).save(stream, 'JPEG')\n"
        "(found,) = dali.decode([[Encoded(stream.getvalue(), (0, 0, 9, 9), True)]], 8, threads=1)\n"
        "assert found.shape == (1, 8, 8, 3)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- augmentation

COUNT, SOURCE, SIZE = 11, 24, 20


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.stack([natural(SOURCE, SOURCE, seed) for seed in range(COUNT)]))


def augmenter(rules: Augmentation, *, size: int = SIZE, ahead: bool = False):
    """Return an augmenter for the CPU that works ahead, as on a GPU, if asked to."""
    augment = dali.augmenter(rules, source=SOURCE, size=size, batch_size=4, device=CPU)
    augment._ahead = ahead
    return augment


def batches(
    rules: Augmentation, images: torch.Tensor, rows=range(COUNT), *, size: int = SIZE, epoch: int = 0, by: int = 4
):
    plan = AugmentationPlan(rules, seed=5, epoch=epoch, source=SOURCE, size=size)
    rows = np.asarray(rows)
    for start in range(0, len(rows), by):
        part = rows[start : start + by]
        yield images[part], plan.draws(part, np.zeros(len(part), np.int64))


@pytest.mark.parametrize("ahead", [False, True])
def test_every_epoch_has_every_image_once_in_its_order(images, ahead):
    # last_batch_policy=PARTIAL without pad_last_batch repeats and drops some from the second epoch on
    rules = policy()
    augment = augmenter(rules, size=SOURCE, ahead=ahead)
    for epoch in range(3):
        rows = np.random.default_rng(epoch).permutation(COUNT)
        found = list(augment(batches(rules, images, rows, size=SOURCE, epoch=epoch)))
        assert [len(part) for part in found] == [4, 4, 3]
        np.testing.assert_array_equal(torch.cat(found), images[rows])


@pytest.mark.parametrize("ahead", [False, True])
def test_what_was_given_is_not_overwritten_by_a_later_batch(images, ahead):
    rules = policy(**EVERYTHING)
    augment = augmenter(rules, ahead=ahead)
    given, at_once = [], []
    for part in augment(batches(rules, images)):
        given.append(part)
        at_once.append(part.clone())
    list(augment(batches(rules, images.flip(0))))
    gc.collect()
    np.testing.assert_array_equal(torch.cat(given), torch.cat(at_once))
    assert len({part.data_ptr() for part in given}) == 3


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("taken", [0, 1, 2])
@pytest.mark.parametrize("kept", [False, True])
def test_an_iterator_may_be_given_up_half_way(images, ahead, taken, kept):
    rules = policy(**EVERYTHING)
    expected = torch.cat(list(augmenter(rules)(batches(rules, images))))
    augment = augmenter(rules, ahead=ahead)
    abandoned = augment(batches(rules, images.flip(0)))
    for _ in range(taken):
        next(abandoned)
    if not kept:
        del abandoned
    np.testing.assert_array_equal(torch.cat(list(augment(batches(rules, images)))), expected)
    if kept:
        assert list(abandoned) == []
        np.testing.assert_array_equal(torch.cat(list(augment(batches(rules, images)))), expected)


@pytest.mark.parametrize("ahead", [False, True])
def test_an_error_in_what_feeds_it_comes_out_and_does_no_harm(images, ahead):
    def failing():
        yield from list(batches(rules, images))[:2]
        raise OSError("disk")

    rules = policy(**EVERYTHING)
    augment = augmenter(rules, ahead=ahead)
    expected = torch.cat(list(augment(batches(rules, images))))
    with pytest.raises(OSError, match="disk"):
        list(augment(failing()))
    np.testing.assert_array_equal(torch.cat(list(augment(batches(rules, images)))), expected)


@pytest.mark.parametrize(("ahead", "fetched"), [(False, 1), (True, 2)])
def test_on_a_gpu_the_next_batch_is_under_way_when_one_is_given(images, ahead, fetched):
    def counted():
        for batch in batches(rules, images):
            taken.append(batch)
            yield batch

    taken: list = []
    rules = policy(**EVERYTHING)
    next(augmenter(rules, ahead=ahead)(counted()))
    assert len(taken) == fetched


def test_the_pipeline_is_built_at_first_use_and_once(images, monkeypatch):
    built = []
    make = dali._augmenting
    monkeypatch.setattr(dali, "_augmenting", lambda *a, **options: (built.append(1), make(*a, **options))[1])
    rules = policy(**EVERYTHING)
    augment = augmenter(rules)
    iterator = augment(batches(rules, images))
    assert not built
    list(iterator)
    list(augment(batches(rules, images)))
    assert len(built) == 1


def test_a_sample_looks_the_same_in_whatever_batch_it_is(images):
    rules = policy(**EVERYTHING)
    augment = augmenter(rules)
    everything = torch.cat(list(augment(batches(rules, images))))
    rows = [7, 3, 10, 0, 5]
    for by in (1, 3, 4):
        found = torch.cat(list(augment(batches(rules, images, rows, by=by))))
        np.testing.assert_array_equal(found, everything[rows])


@pytest.mark.parametrize(
    ("changes", "operators"),
    [
        ({}, set()),
        ({"flip": 0.5, "scale.min": 0.5}, {"Resize"}),
        ({"rotation": 5.0}, {"WarpAffine"}),
        ({key: EVERYTHING[key] for key in ("blur",)}, {"GaussianBlur"}),
        ({key: EVERYTHING[key] for key in ("noise",)}, {"Slice"}),
        ({"hue": 5.0}, {"CoordTransform"}),
        ({key: EVERYTHING[key] for key in ("jpeg",)}, {"JpegCompressionDistortion"}),
        (EVERYTHING, {"WarpAffine", "GaussianBlur", "Slice", "CoordTransform", "JpegCompressionDistortion"}),
    ],
)
def test_what_cannot_happen_is_not_built(changes, operators):
    graph = augmenter(policy(**changes), size=SOURCE)._pipeline.serialize()
    known = {"Resize", "WarpAffine", "GaussianBlur", "Slice", "CoordTransform", "JpegCompressionDistortion"}
    assert {name for name in known if name.encode() in graph} == operators


def test_a_forked_process_can_augment_after_its_parent_decoded():
    # folds are forked from a process that may have decoded before; DALI's threads do not come along
    script = """
import io, os, sys
import numpy as np, torch
from PIL import Image
from deepfake.modalities.image import dali
from deepfake.modalities.image.augmentation import AugmentationPlan
from deepfake.modalities.image.encoded import Encoded
from deepfake.config.images import Augmentation

stream = io.BytesIO()
Image.effect_noise((24, 24), 60).convert("RGB").save(stream, "JPEG")
(images,) = dali.decode([[Encoded(stream.getvalue(), (0, 0, 24, 24), True)] * 3], 24, threads=2)
policy = Augmentation.model_validate_json(sys.argv[1])
augment = dali.augmenter(policy, source=24, size=20, batch_size=3, device=torch.device("cpu"))
draws = AugmentationPlan(policy, seed=1, epoch=0, source=24, size=20).draws(np.arange(3), np.zeros(3, int))
inside, outside = os.pipe()
child = os.fork()
(result,) = augment([(torch.from_numpy(images), draws)])
if not child:
    os.write(outside, result.numpy().tobytes())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert os.read(inside, 10**6) == result.numpy().tobytes()
"""
    subprocess.run([sys.executable, "-c", script, policy(**EVERYTHING).model_dump_json()], check=True, timeout=120)
