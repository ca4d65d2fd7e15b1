"""What a file's name promises: a medium of some modality, or something beside the media, as a caption or a table."""

import os
from collections import Counter
from collections.abc import Iterable

MEDIA = {
    "image": frozenset(
        {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif"}
        | {".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm"}
        | {".tga", ".ico", ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2"}
    ),
    "video": frozenset(
        {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".flv", ".mpg", ".mpeg", ".mts", ".m2ts", ".3gp"}
    ),
    "audio": frozenset({".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff"}),
}
"""The suffixes of each modality's files."""
_BESIDE = frozenset(
    {".txt", ".md", ".rst", ".pdf", ".rtf", ".doc", ".docx", ".tex", ".html", ".htm", ".caption", ".srt", ".vtt"}
    | {".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml", ".toml", ".ini"}
    | {".cfg", ".log", ".lst", ".list", ".db", ".sqlite", ".parquet", ".feather", ".arrow", ".lmdb", ".mdb"}
    | {".npy", ".npz", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".h5", ".hdf5", ".mat"}
    | {".py", ".ipynb", ".sh", ".bat", ".m", ".r", ".pts", ".lmk", ".obj", ".xmp", ".aae", ".thm", ".url", ".lnk"}
    | {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".md5", ".sha1", ".sha256", ".part", ".crdownload"}
)
"""Suffixes of what lies beside media; a suffix that is in no list may be a medium, and its content decides."""
_KIND_OF = dict.fromkeys(_BESIDE, "other") | {
    suffix: modality for modality, suffixes in MEDIA.items() for suffix in suffixes
}


def of(path: str) -> str:
    """Return the modality that a suffix promises; "other" for what lies beside media, "" when it says nothing."""
    return _KIND_OF.get(suffix(path), "")


def most(paths: Iterable[str]) -> str:
    """Return the modality of which there are most files; `image` where there are none of any."""
    count = Counter(map(of, paths))
    return max(MEDIA, key=lambda modality: count[modality])


def suffix(path: str) -> str:
    """Return a file's suffix in small letters: `.jpg`, or "" where it has none."""
    # names come by the hundred thousand: pathlib would take seconds
    return os.path.splitext(path)[1].lower()


def is_beside(path: str, modality: str) -> bool:
    """Tell whether a file is none of a modality's media by its suffix: its content is not looked at."""
    return of(path) not in ("", modality)
