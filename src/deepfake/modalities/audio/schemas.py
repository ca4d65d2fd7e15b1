"""The tables of recordings: what their windows are, what a view shows of them, and what a file gives away."""

from deepfake.tables import Schema

RATE = 16_000
"""Samples a second of all sound, once it is decoded."""
MEDIA = Schema(
    "media of recordings",
    {
        "sample_id": "str",
        "start": "int",  # first sample of the window, at 16 kHz
        "length": "int",  # samples of the whole recording, at 16 kHz
        "duration": "float",  # seconds of the whole recording
        "rate": "int",  # samples a second in the file
        "channels": "int",
        "format": "str",  # the container, as FFmpeg names it: wav, flac, mp3, ogg, mov, ...
        "codec": "str",  # as FFmpeg names it: pcm_s16le, flac, mp3, opus, aac, ...
        "notes": "str",  # what was odd and how it was taken ("mean of 2 channels"); mostly ""
    },
    key=("sample_id",),
    allowed={},
)
REGIONS = Schema(
    "regions of recordings",
    {
        "sample_id": "str",
        "start": "int",  # first sample of the window, at 16 kHz
        "length": "int",  # samples of the whole recording, at 16 kHz: less than a window is repeated
    },
    key=("sample_id",),
    allowed={},
)

FAMILIES: dict[str, tuple[str, ...]] = {
    "duration": ("duration", "bytes"),
    "silence": ("leading_silence", "trailing_silence", "silent_share"),
    "level": ("peak", "rms", "dc_offset", "clipped"),
    "container": ("format", "codec", "bits", "channels", "bitrate", "tags", "encoder"),
    "band": ("rate", "bandwidth"),
    "signal": ("flatness", "zero_crossings"),
}
"""The features of each family: of files, and as `signal` of the sound itself, which may be the trace of a synthesis."""
FEATURES = Schema(
    "features of recordings",
    {
        "sample_id": "str",
        "sha256": "str",  # of the encoded file that was measured
        "duration": "float",  # seconds
        "bytes": "int",
        # seconds before the first and after the last block above the threshold, and the share of blocks below it
        **dict.fromkeys(("leading_silence", "trailing_silence", "silent_share"), "float"),
        # decibels of full scale; the mean as a share of full scale; the share of samples at full scale
        **dict.fromkeys(("peak", "rms", "dc_offset", "clipped"), "float"),
        **dict.fromkeys(("format", "codec"), "str"),
        **dict.fromkeys(("bits", "channels"), "int"),  # bits of a sample; 0 of a codec that has none
        "bitrate": "float",  # kilobits a second, of the whole file
        "tags": "int",  # entries of its metadata
        "encoder": "str",  # what it says it was written by, or "none"
        "rate": "int",  # samples a second
        "bandwidth": "float",  # Hz below which 99% of the power lies
        "flatness": "float",  # of the mean power spectrum: geometric over arithmetic mean, in decibels; 0: white
        "zero_crossings": "float",  # changes of sign a second
    },
    key=("sample_id",),
    allowed={},
)
