"""A cut for other programs: EDL (CMX 3600), JSON, and captions (SubRip, WebVTT) timed to the cut video.

An EDL counts frames. Its timecode is non-drop at the nearest whole rate (24 for 23.976, 30 for 29.97), so every frame has its
own and no conversion is needed; set the project to the source's frame rate before importing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from itertools import zip_longest

from ..checks import InputError, integer, shown
from ..media.encode import frame_rate
from .cutlist import CutList, Row, TimeMap, cut_list
from .edit import Piece
from .transcript import Word

MAX_EVENTS = 999  # three digits in CMX 3600
MAX_JSON_CHARS = 20_000_000
_FORMAT, _VERSION = "genkey-cut-list", 1
_REEL = "AX"  # of a file without a tape
_LINE_CHARS, _LINES = 42, 2  # of a caption; the usual limits of broadcasters
_LONGEST_CUE_S, _SHORTEST_CUE_S, _CUE_GAP_S = 6.0, 0.7, 0.8


def edl(
    pieces: Sequence[Piece], *, fps: float | Fraction, clip_name: str, title: str = "Cut", n_channels: int = 2
) -> str:
    """The cut as a CMX 3600 edit decision list: one event per piece, black for new frames, the result from 00:00:00:00.

    `n_channels` is that of the sound: 0 for none, 1 or 2. Raises InputError for more than 999 events, which the format
    cannot number.
    """
    rate = frame_rate(fps)
    channels = ("V", "B", "AA/V")[integer(n_channels, "channels", low=0, high=2)]
    lines = [f"TITLE: {_one_line(title, 70)}", "FCM: NON-DROP FRAME", ""]
    events: list[tuple[str, str, int, int]] = []  # reel, channels, source in and out
    for piece in pieces:
        events.append((_REEL, channels, piece.start, piece.stop))
        if piece.inserted:
            events.append(("BL", "V", 0, piece.inserted))
    if len(events) > MAX_EVENTS:
        raise InputError(f"EDL: at most {MAX_EVENTS} events are possible, got {len(events)}; export the cut as JSON.")
    at = 0
    for i, (reel, tracks, start, stop) in enumerate(events, 1):
        times = (start, stop, at, at + stop - start)
        at += stop - start
        lines.append(f"{i:03d}  {reel:<8} {tracks:<5} C        " + " ".join(timecode(n, rate) for n in times))
        if reel == _REEL:
            lines.append(f"* FROM CLIP NAME: {_one_line(clip_name, 200)}")
    return "\n".join([*lines, f"* FRAME RATE: {rate}", ""])


def timecode(frame: int, fps: float | Fraction) -> str:
    """Frame number -> HH:MM:SS:FF, non-drop at the nearest whole rate; after 24 hours it starts again, as tape does."""
    per_s = int(frame_rate(fps) + Fraction(1, 2))
    seconds, ff = divmod(frame, per_s)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{ff:02d}"


def to_json(cuts: CutList) -> str:
    """The cut list as JSON text; `from_json` gives the same back."""
    values = {"format": _FORMAT, "version": _VERSION, "duration_s": cuts.duration_s, "padding_s": cuts.padding_s}
    values |= {"shortest_piece_s": cuts.shortest_piece_s, "rows": [asdict(row) for row in cuts.rows]}
    return json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False)


def from_json(text: str) -> CutList:
    """The cut list that JSON text holds, every value checked; InputError names what does not fit."""
    if not isinstance(text, str) or len(text) > MAX_JSON_CHARS:
        raise InputError("cut list: a JSON text of at most 20 million characters is needed.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("cut list: this is no JSON that can be read; export it anew.") from error
    known = {"format", "version", "duration_s", "padding_s", "shortest_piece_s", "rows"}
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise InputError(f"cut list: a JSON object of the format {_FORMAT} is needed, got {shown(values)}.")
    if values.get("version") != _VERSION or not set(values) <= known:
        raise InputError(f"cut list: version {_VERSION} with {', '.join(sorted(known))} is needed.")
    rows = values.get("rows")
    if not isinstance(rows, list):
        raise InputError(f"cut list: rows must be a list, got {shown(rows)}.")
    options = {k: values[k] for k in ("padding_s", "shortest_piece_s") if k in values}
    return cut_list((_row(row, i) for i, row in enumerate(rows, 1)), duration_s=values.get("duration_s"), **options)


def _row(values: object, i: int) -> Row:
    names = {f.name for f in fields(Row)}
    if not isinstance(values, dict) or not {"start_s", "end_s", "kind"} <= set(values) <= names:
        raise InputError(f"row {i}: an object with {', '.join(sorted(names))} is needed, got {shown(values)}.")
    return Row(**values)


@dataclass(frozen=True)
class Cue:
    """One caption, on the result's clock."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(words: Iterable[Word], times: TimeMap) -> list[Cue]:
    """Captions of the words that stay: at most two lines of 42 characters and six seconds, never two at once.

    A word whose middle was removed is gone. A caption ends with a sentence, before a pause, or when it is full, and stays
    for at least 0.7 s where the next one leaves the room.
    """
    groups: list[list[Word]] = []
    for word in (moved for word in words if (moved := _moved(word, times)) is not None):
        group = groups[-1] if groups else None
        if (
            group is None
            or word.start_s - group[-1].end_s > _CUE_GAP_S
            or word.end_s - group[0].start_s > _LONGEST_CUE_S
            or (group[-1].text.endswith((".", "?", "!", "。")) and len(_text(group)) > 20)
            or len(_wrapped(_text([*group, word]))) > _LINES
        ):
            groups.append([word])
        else:
            group.append(word)
    found = []
    for group, following in zip_longest(groups, groups[1:]):
        latest = times.duration_s if following is None else following[0].start_s
        start_s = group[0].start_s
        end_s = min(latest, max(group[-1].end_s, start_s + _SHORTEST_CUE_S))
        if end_s > start_s:
            found.append(Cue(start_s, end_s, _wrapped(_text(group))))
    return found


def srt(captions: Sequence[Cue]) -> str:
    """SubRip text."""
    blocks = (
        f"{i}\n{_clock(c.start_s, ',')} --> {_clock(c.end_s, ',')}\n" + "\n".join(_plain(line) for line in c.lines)
        for i, c in enumerate(captions, 1)
    )
    return "\n\n".join(blocks) + "\n"


def vtt(captions: Sequence[Cue]) -> str:
    """WebVTT text (W3C); what would be markup is escaped."""
    blocks = (
        f"{_clock(c.start_s, '.')} --> {_clock(c.end_s, '.')}\n" + "\n".join(_escaped(line) for line in c.lines)
        for c in captions
    )
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _moved(word: Word, times: TimeMap) -> Word | None:
    middle_s = (word.start_s + word.end_s) / 2
    if not any(a <= middle_s < b for a, b in times.kept):
        return None
    start_s, end_s = times.to_result(word.start_s), times.to_result(word.end_s)
    return Word(start_s, max(start_s, end_s), word.text, word.confidence)


def _text(words: Iterable[Word]) -> str:
    return " ".join(" ".join(word.text.split()) for word in words)


def _wrapped(text: str) -> tuple[str, ...]:
    """Lines of at most _LINE_CHARS; a longer word is split."""
    lines: list[str] = []
    for word in text.split():
        for part in (word[i : i + _LINE_CHARS] for i in range(0, len(word), _LINE_CHARS)):
            if lines and len(lines[-1]) + 1 + len(part) <= _LINE_CHARS:
                lines[-1] += f" {part}"
            else:
                lines.append(part)
    return tuple(lines)


def _clock(time_s: float, point: str) -> str:
    ms = round(time_s * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"


def _plain(line: str) -> str:
    return line.replace("-->", "→")


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str, limit: int) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:limit]
