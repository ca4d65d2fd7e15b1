"""The tables of clips: what their frames are, what a view shows of them, and what a file gives away."""

from deepfake import tables
from deepfake.modalities.image.families import PIXELS

MEDIA = tables.Schema(
    "media of clips",
    {
        "sample_id": "str",
        "frame": "int",  # its number in the clip, in the order in which frames are shown, from 0
        "time": "float",  # seconds from the first frame
        "frames": "int",  # of the whole clip
        "rate": "float",  # frames a second, on average; 0 where nothing says it
        "duration": "float",  # seconds, to the end of the last frame
        "width": "int",  # pixels, upright (rotation applied, the aspect of pixels not)
        "height": "int",  # pixels, upright
        "format": "str",  # of the container: mp4, mov, matroska, avi, ...
        "codec": "str",  # as libav names it: h264, hevc, vp9, ...
        "pixel_format": "str",  # as libav names it: yuv420p, yuv420p10le, ...
        "notes": "str",  # what was odd and how it was taken ("rotated; variable frame rate"); mostly ""
    },
    key=("sample_id",),
    allowed={},
)
REGIONS = tables.Schema(
    "regions of frames",
    tables.REGIONS.columns | {"frame": "int"},  # its number in the clip, as in `MEDIA`
    key=tables.REGIONS.key,
    allowed=tables.REGIONS.allowed,
)

FAMILIES: dict[str, tuple[str, ...]] = {
    "geometry": ("width", "height", "aspect", "pixels", "pixel_aspect", "rotation"),
    "timing": ("duration", "frames", "rate", "variable_rate"),
    "coding": (
        *("format", "codec", "profile", "level", "pixel_format", "bits", "color_space", "color_range"),
        *("keyframe_interval", "reordering"),
    ),
    "metadata": ("encoder", "library", "tags", "audio", "streams"),
    "size": ("bytes", "bit_rate", "bytes_per_pixel"),
    **PIXELS,
}
"""The features of each family; `features.measure` says what they are. The size of a file stands by itself, because it
grows with the detail and the motion that a clip shows as well as with its quality."""
_WORDS = ("format", "codec", "profile", "pixel_format", "color_space", "color_range", "encoder", "library")
_COUNTS = (
    *("width", "height", "pixels", "rotation", "frames", "variable_rate", "level", "bits", "reordering"),
    *("tags", "audio", "streams", "bytes"),
)
FEATURES = tables.Schema(
    "features of clips",
    {"sample_id": "str", "sha256": "str"}
    | {
        name: "str" if name in _WORDS else "int" if name in _COUNTS else "float"
        for family in FAMILIES.values()
        for name in family
    },
    key=("sample_id",),
    allowed={},
)
