"""The names of what an image gives away without a look at its content (`features` measures it), by families."""

COLOUR = (*(f"{figure}_{channel}" for figure in ("mean", "std") for channel in "rgb"), "saturation")
SHARPNESS = (
    "laplacian",
    "high_frequency",
    "noise",
    "resampling_x",
    "resampling_y",
    "blockiness",
)
CONTAINER: dict[str, tuple[str, ...]] = {
    "geometry": ("width", "height", "aspect", "pixels"),
    "compression": (
        "format",
        "mode",
        "quality",
        "luma_mean",
        "chroma_mean",
        "luma_dc",
        "luma_last",
        "chroma_dc",
        "subsampling",
        "progressive",
    ),
    "metadata": ("exif", "icc", "segments", "dpi"),
    "size": ("bytes", "bytes_per_pixel"),
}
PIXELS: dict[str, tuple[str, ...]] = {"colour": COLOUR, "sharpness": SHARPNESS}
"""The features of each family: of the container, and of pixels. A view of a data set has those of its pixels alone. The
size of a file stands by itself, because it grows with the detail that a picture shows as well as with its quality."""
