"""Which frames are taken of a clip, and where they lie in its file.

Frames are spread evenly over those that the clip has, counted in the order in which they are shown. In time they would
be so, too, where the rate is constant; where it is not, an even step in time takes some frames twice and passes over
others, so that the same number of samples would show less.
"""

from contextlib import suppress
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import av
from av.error import FFmpegError

from deepfake.modalities.base import Medium
from deepfake.modalities.video.containers import Clip, Unreadable, opened

_WITHOUT_ORDER = ("avi", "gif")
"""Containers whose times are those of decoding, or none: their frames are counted as they are decoded."""
_PROMISING = ("matroska", "avi", "flv", "asf")
"""Containers that say how long they are, apart from what is in them; those of MP4 say how many frames they have."""
_CUT_OFF = 0.05
"""Share of the duration that may be missing at the end of those, and at least `_CUT_OFF_S` seconds: what is said there
is rounded, or that of a stream that is not looked at."""
_CUT_OFF_S = 0.5
_VARIABLE = 1.5
"""A step this much longer than the median, or shorter by as much, makes a variable frame rate."""


def spread(count: int, wanted: int) -> list[int]:
    """Return which frames of a clip are taken, from the first to the last.

    Args:
        count: frames of the clip.
        wanted: how many are to be taken; a shorter clip gives all of its own.

    Returns:
        Their numbers, ascending and each once; a single one is that in the middle.
    """
    if wanted == 1 or count <= 1:
        return [(count - 1) // 2] if count else []
    last, steps = count - 1, min(count, wanted) - 1
    return [(2 * number * last + steps) // (2 * steps) for number in range(steps + 1)]  # rounded, halves up


class Key(NamedTuple):
    """A frame at which a decoder can begin.

    Args:
        position: its packet's number in the stream.
        shown: when it is shown.
        read: where its container finds it.
    """

    position: int
    shown: int
    read: int


class Timeline(NamedTuple):
    """The frames of a clip.

    Args:
        length: how many are shown.
        times: when each is shown, ascending, in the stream's units; none where the container does not say it.
        positions: of each time in `times`, the number of its packet.
        keys: where a decoder can begin, as they follow in the file.
        duration: in seconds, to the end of the last frame.
    """

    length: int
    times: list[int]
    positions: dict[int, int]
    keys: list[Key]
    duration: float

    def seconds(self, frame: int, unit: float) -> float:
        """Return when a frame is shown, in seconds from the first one."""
        if self.times:
            return (self.times[frame] - self.times[0]) * unit
        return self.duration * frame / self.length

    @property
    def varies(self) -> bool:
        """Tell whether the frame rate is variable."""
        steps = [after - before for before, after in pairwise(self.times)]
        if not steps:
            return False
        middle = median(steps)
        # one unit is rounding
        return max(steps) > _VARIABLE * middle + 1 or min(steps) < middle / _VARIABLE - 1


def timeline(medium: Medium, clip: Clip) -> Timeline:
    """Return the frames of a clip: every packet is read, and decoded only where the container does not say their order.

    Args:
        medium: the clip.
        clip: the same, opened just now; it is left at its end.

    Raises:
        Unreadable: it has no frames, or fewer than it says.
    """
    stream, unit = clip.stream, float(clip.stream.time_base or 0)
    shown: dict[int, tuple[int, int]] = {}
    keys: list[Key] = []
    packets, end, ordered = 0, 0.0, clip.format not in _WITHOUT_ORDER
    with suppress(FFmpegError):  # what was read counts, and what is missing is found out below
        for packet in clip.container.demux() if clip.format in _PROMISING else clip.container.demux(stream):
            if packet.size == 0:
                continue
            time, length = packet.pts if packet.pts is not None else packet.dts, packet.duration or 0
            if time is not None:
                end = max(end, (time + length) * float(packet.time_base))
            if packet.stream_index != stream.index:
                continue
            if packet.pts is None or packet.pts in shown:
                ordered = False
            else:
                if packet.is_keyframe:
                    keys.append(Key(packets, packet.pts, packet.pts if packet.dts is None else packet.dts))
                if not packet.is_discard:  # an edit list cuts it off
                    shown[packet.pts] = packets, length
            packets += 1
    _check_whole(clip, packets, end)
    if not ordered:
        return _counted(medium)
    if keys:  # what comes before the first of them cannot be decoded
        first = keys[0]
        shown = {time: one for time, one in shown.items() if one[0] >= first.position and time >= first.shown}
    if not shown:
        raise Unreadable("no frames")
    times = sorted(shown)
    length = shown[times[-1]][1] or (times[-1] - times[-2] if len(times) > 1 else 0)
    positions = {time: position for time, (position, _) in shown.items()}
    return Timeline(len(times), times, positions, keys, (times[-1] + length - times[0]) * unit)


def _check_whole(clip: Clip, packets: int, end: float) -> None:
    """Raise if a container says that it has more than was found in it."""
    promised = clip.stream.frames if clip.format in ("mp4", "mov") else 0
    if packets < promised:
        raise Unreadable(f"truncated: {packets} of {promised} frames")
    if packets == 0:
        raise Unreadable("no frames")
    duration = (clip.container.duration or 0) / av.time_base
    start = max(0.0, (clip.container.start_time or 0) / av.time_base)
    if clip.format in _PROMISING and duration - (end - start) > max(_CUT_OFF_S, _CUT_OFF * duration):
        raise Unreadable(f"truncated: {end - start:.1f} of {duration:.1f} s")


def _counted(medium: Medium) -> Timeline:
    """Return the frames of a clip by decoding all of them."""
    count = 0
    with opened(medium) as clip:
        rate = float(clip.stream.average_rate or clip.stream.guessed_rate or 0)
        with suppress(FFmpegError):
            for _ in clip.container.decode(clip.stream):
                count += 1
    if count == 0:
        raise Unreadable("cannot be decoded: none of its frames")
    return Timeline(count, [], {}, [], count / rate if rate else 0.0)
