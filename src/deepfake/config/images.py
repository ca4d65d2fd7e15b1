"""The sections of params.yaml that say what images are and what a model sees of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.config.section import Channels, Factor, Probability, Ratio, Resolution, Section, Seed


class PixelView(Section):
    """A way to turn every image of a data set, or frame of its clips, into a square of pixels: one decoded cache."""

    modality: Literal["image", "video"] = "image"
    """What data sets it shows."""
    geometry: Literal["crop", "letterbox", "letterbox_real", "matched", "resize"]
    """`crop`: the central square. `letterbox`: the whole image, padded with black to a square; `letterbox_real` does
    so to real images only and crops the fakes. `resize`: the whole image, squeezed into a square."""
    face_crop: bool
    """Whether to cut out the face (`faces`) first; an image without one gets its central square."""
    resolution: Resolution
    """Side of the square: pixels, or a word of the preset."""

    @model_validator(mode="after")
    def _square(self) -> "PixelView":
        if self.face_crop and self.geometry != "crop":
            raise ValueError("a face crop is square already; it goes with geometry: crop")
        return self


class Cache(Section):
    """The decoded images on disk."""

    oversampling: Annotated[float, Field(ge=1, le=2)]
    """Training images that are scaled or rotated are taken from a cache this much larger than the model's input, so
    that they come out as sharp as the images of the evaluation."""


class Range(Section):
    """Where a value is drawn from, uniformly."""

    min: Annotated[float, Field(ge=0)]
    max: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Quality(Section):
    """A range of JPEG quality."""

    min: Annotated[int, Field(ge=1, le=100)]
    max: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> "Quality":
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Blur(Section):
    """Gaussian blur of some images."""

    probability: Probability = 0.0
    sigma: Range = Range(min=0.5, max=1.5)
    """Standard deviation in pixels of the model's input."""


class Noise(Section):
    """Gaussian noise on some images."""

    probability: Probability = 0.0
    std: Range = Range(min=2.0, max=8.0)
    """Standard deviation, of 255."""


class Compression(Section):
    """JPEG compression of some images."""

    probability: Probability = 0.0
    quality: Quality = Quality(min=50, max=95)


class Augmentation(Section):
    """What happens to a training image, in this order: geometry, blur, noise, colour, JPEG; by default nothing."""

    modality: Literal["image"] = "image"
    """Frames of clips are images, too."""
    flip: Probability = 0.0
    """Probability of a mirror image."""
    scale: Range = Range(min=1.0, max=1.0)
    """Side of the random crop, as a share of the image's side."""
    rotation: Annotated[float, Field(ge=0, le=45)] = 0.0
    """Largest rotation in degrees, to either side."""
    blur: Blur = Blur()
    noise: Noise = Noise()
    brightness: Factor = 0.0
    """The image is multiplied by a factor from [1 - brightness, 1 + brightness]."""
    contrast: Factor = 0.0
    """Likewise the distance from middle gray."""
    saturation: Factor = 0.0
    """Likewise the distance from gray of the same luma."""
    hue: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation of the hue in degrees, to either side."""
    jpeg: Compression = Compression()

    @model_validator(mode="after")
    def _inside(self) -> "Augmentation":
        if not 0 < self.scale.min <= self.scale.max <= 1:
            raise ValueError("scale must lie in (0, 1]")
        return self

    @property
    def changes_nothing(self) -> bool:
        """Tell whether every image stays as it is."""
        sometimes = (self.flip, self.blur.probability, self.noise.probability, self.jpeg.probability)
        always = (self.rotation, self.brightness, self.contrast, self.saturation, self.hue)
        return self.scale.min == 1 and not any(sometimes) and not any(always)

    @property
    def resamples(self) -> bool:
        """Tell whether it takes samples from a larger cache, so that what it changes stays sharp."""
        return True


class Normalization(Section):
    """Per-channel statistics of the input after scaling to [0, 1]."""

    mean: Channels
    std: Channels

    @model_validator(mode="after")
    def _positive(self) -> "Normalization":
        if min(self.std) <= 0:
            raise ValueError("every std must be greater than 0")
        return self


class Faces(Section):
    """How faces are found (MTCNN) and cut out."""

    detection_size: Annotated[int, Field(ge=64)]
    """Side in pixels of the letterboxed image that the detector sees; boxes are given in the image's own pixels."""
    min_face: Ratio
    """Smallest face that is looked for, as a share of `detection_size`."""
    confidence: Ratio
    """Least confidence of the detector; an image whose faces all have less counts as one without a face."""
    margin: Annotated[float, Field(ge=0, le=2)]
    """What the cut-out square adds around the face box, as a share of the box's longer side, half on each side."""


class Sample(Section):
    """The embedded sample data set."""

    seed: Seed
    real_width: Annotated[int, Field(ge=32)]
    """Width of a real photograph in pixels."""
    real_height: Annotated[int, Field(ge=32)]
    """Height of a real photograph in pixels; unlike its width, so that the geometry shortcut exists."""
    fake_size: Annotated[int, Field(ge=32)]
    """Side of a fake in pixels; fakes are square."""
    jpeg_quality: Quality
    """Drawn the same way for all sources."""


class Edited(Section):
    """The second embedded data set: the same people, edited otherwise, of other sizes and compression."""

    seed: Seed
    widths: Annotated[tuple[int, ...], Field(min_length=1)]
    """Widths in pixels, of which every photograph and its fakes draw one; the height follows."""
    jpeg_quality: Quality
    """Drawn the same way for all sources."""


class Resent(Section):
    """The third embedded data set: the files of the first as a messenger hands them on."""

    seed: Seed
    scale: Range
    """Drawn for each photograph and its fakes: the new width over the old one."""
    jpeg_quality: Quality
    """Drawn the same way for all sources."""


class Parts(Section):
    """Into how many samples a file is divided, and how long a recording may be; an image is one sample."""

    frames: Annotated[int, Field(ge=1, le=1000)] = 8
    """Frames that are taken of a clip, spread evenly from the first to the last; a shorter clip has all of its own."""
    window: Annotated[float, Field(ge=0.25, le=60)] = 4.0
    """Seconds of a window of sound: a longer recording is cut into several, a shorter one is repeated until it is full.
    """
    shortest: Annotated[float, Field(gt=0)] = 0.1
    """Seconds of a recording at least: repeated until a window is full, less is a tone."""
    longest: Annotated[float, Field(gt=0, le=72)] = 6.0
    """Hours of a recording at most."""


class Ingest(Parts):
    """How files are divided, and how many of a data set may be unreadable."""

    max_quarantined: Annotated[float, Field(ge=0, lt=1)]
    """Largest share of files in quarantine; more is an error."""
