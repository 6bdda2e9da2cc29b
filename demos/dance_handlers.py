"""What comes in on the Animal dance tab: keyframes, the song and its beats, the choreography, a project, the example."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from genkey_core import runtime
from genkey_core.checks import InputError, choice, integer, number
from genkey_core.dance.patterns import PRESETS, parse_pattern

from . import dance_state as state
from . import dance_view as view
from . import dance_work as work
from .dance_wishes import shown_wishes
from .inbetween_view import refused_line, waiting_line
from .jobs import as_text, says_mistakes

WAITING = "Drop keyframes and a song, or take the example, to see what a dance will cost."
LOADING = "Listening to the song and looking at the dancer: some seconds, the first time more."
BEAT_EDITS = ("halve", "double", "earlier", "later")
NUDGE_S = 0.02


def _warned(error: InputError) -> None:
    gr.Warning(as_text(str(error)), title="Please check", duration=None)


@says_mistakes
def take_keyframes(session: dict | None, paths: list[str] | None, n_poses: object):
    """Keyframes were dropped or taken away: outputs for [session, the box, their row]. What cannot be used leaves the box."""
    session = state.held(session)
    if not paths:
        return {**session, "keyframes": []}, gr.skip(), gr.HTML(incoming=view.poses_news())
    try:
        files, notes = work.keyframe_files(list(paths), n_poses)
        row = row_of(files, notes)
    except InputError as error:
        _warned(error)
        return gr.skip(), session["keyframes"] or None, gr.skip()
    return {**session, "keyframes": files, "folder": work.clips_folder(session)}, files, row


def row_of(files: list[str], notes: tuple[str, ...] = ()) -> gr.HTML:
    """The row that shows these keyframes, with sentences on them."""
    from genkey_core import media
    from genkey_core.dance.keyframes import gathered

    found = gathered([media.load_image(path) for path in files])
    return gr.HTML(incoming=view.poses_news(found.images, tuple(dict.fromkeys((*notes, *found.notes)))))


@says_mistakes
def take_song(session: dict | None, path: str | None):
    """A song was dropped or taken away: outputs for [session, the box]; its beats are heard here."""
    session = state.held(session)
    if not path:
        return {**session, "song": None, "marks": None}, gr.skip()
    try:
        state.heard(path)
    except InputError as error:
        _warned(error)
        return gr.skip(), session["song"]
    return {**session, "song": path, "name": Path(path).name, "marks": None}, gr.skip()


@says_mistakes
def song_shown(session: dict | None, start_s: float | None, end_s: float | None):
    """Outputs for [the song's picture, first downbeat, meter]."""
    session = state.held(session)
    if not session["song"]:
        return gr.HTML(incoming={"serial": state.serial(), "beats": []}), gr.skip(), gr.skip()
    return _song(session, start_s, end_s)


def _song(session: dict, start_s, end_s, *, clicks: str = ""):
    beats = state.beats_of(session)
    start_s = number(start_s or 0.0, "start", low=0, unit="s")
    until_s = min(number(end_s or beats.duration_s, "end", low=0, unit="s"), beats.duration_s)
    address = work.address_of(session["song"])
    news = view.song_news(address, beats, start_s=start_s, end_s=until_s, clicks=clicks)
    return gr.HTML(incoming=news), beats.first_downbeat + 1, str(beats.beats_per_bar)


@says_mistakes
def with_clicks(session: dict | None, start_s: float | None, end_s: float | None):
    """The song's picture with a sound to play: the danced part with clicks on its beats."""
    from genkey_core.dance.planning import part_of

    session, beats = state.held(session), state.beats_of(session)
    settings = state.Settings(start_s=start_s or 0.0, end_s=end_s or None).checked()
    start_s, until_s, _ = part_of(beats.duration_s, settings)
    path = work.clicks_file(session["song"], beats, start_s, until_s)
    return _song(session, start_s, until_s, clicks=work.address_of(path))[0]


def beat_edit(name: str):
    """A handler that changes the beats: outputs for [session]."""

    @says_mistakes
    def edit(session: dict | None):
        beats = state.beats_of(session)
        changed = {
            "halve": beats.halved,
            "double": beats.doubled,
            "earlier": lambda: beats.shifted(-NUDGE_S),
            "later": lambda: beats.shifted(NUDGE_S),
        }[name]()
        return state.with_beats(session, changed)

    return edit


@says_mistakes
def first_downbeat(session: dict | None, i: object):
    """The beat with this number, from 1, begins a bar."""
    beats = state.beats_of(session)
    i = integer(i, "first downbeat", low=1, high=len(beats.beat_times_s))
    return state.with_beats(session, beats.with_first_downbeat(i - 1))


@says_mistakes
def clicked_beat(session: dict | None, song: object):
    """The beat that was clicked in the song's picture begins a bar."""
    beat = song.get("beat") if isinstance(song, dict) else None
    beats = state.beats_of(session)
    return state.with_beats(session, beats.with_first_downbeat(integer(beat, "beat", low=0)))


@says_mistakes
def meter(session: dict | None, beats_per_bar: object):
    """Bars of three or four beats."""
    return state.with_beats(
        session, state.beats_of(session).with_meter(int(choice(beats_per_bar, "meter", ("3", "4"))))
    )


@says_mistakes
def tapped(session: dict | None, song: object):
    """Beats where the visitor tapped."""
    taps = song.get("taps") if isinstance(song, dict) else None
    if not isinstance(taps, list) or len(taps) > 1000:
        raise InputError("tap tempo: what this page sent cannot be read; reload it.")
    taps_s = [number(t, "tap", low=0, high=7200, unit="s") for t in taps]
    return state.with_beats(session, state.beats_of(session).tapped(taps_s))


@says_mistakes
def typed_tempo(session: dict | None, bpm: object):
    """A constant tempo through the first downbeat."""
    beats = state.beats_of(session)
    at_s = float(beats.beat_times_s[beats.first_downbeat])
    return state.with_beats(session, beats.at_tempo(number(bpm, "tempo", unit="bpm"), at_s))


@says_mistakes
def heard_again(session: dict | None):
    """The beats as they were first heard."""
    return {**state.held(session), "marks": None}


@says_mistakes
def preset(name: str):
    """The text of a pattern that is printed in chapter 7."""
    return PRESETS[choice(name, "preset", PRESETS)]


@says_mistakes
def edited_steps(steps: object):
    """The pattern after a segment was changed by hand, as text."""
    labels = steps.get("labels") if isinstance(steps, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError("pattern: what this page sent cannot be read; reload it.")
    return str(parse_pattern("-".join(labels)))


@says_mistakes
def follow_dancer(session: dict | None, path: str | None, *controls):
    """A dancer was dropped: outputs for [session, the box, figures, pattern]."""
    from genkey_core.dance.followed import follow
    from genkey_core.dance.planning import part_of

    session = state.held(session)
    if not path:
        return {**session, "motion": None}, gr.skip(), None, gr.skip()
    try:
        beats = state.beats_of(session)
        start_s, end_s, _ = part_of(beats.duration_s, state.settings_of(controls))
        found = follow(path, beats.clipped(start_s, end_s))
    except InputError as error:
        _warned(error)
        return gr.skip(), session["motion"], gr.skip(), gr.skip()
    for note in found.notes:
        gr.Info(as_text(note), title="Choreography", duration=15)
    return {**session, "motion": path}, gr.skip(), view.figures_of(found), str(found.choreography.pattern)


@says_mistakes
def describe(request: gr.Request, session: dict | None, figures: dict | None, *controls):
    """Outputs for [cost line, wishes on the keyframes, coloured timeline, Find, Run]."""
    off = gr.Button(interactive=False)
    session = state.held(session)
    wishes = shown_wishes(session, controls)
    try:
        job = state.plan_of(session, controls) if session["keyframes"] and session["song"] else None
        pattern = job.pattern if job else parse_pattern(controls[0])
        steps = gr.HTML(incoming=view.steps_news(pattern, figures))
        if job is None:
            return waiting_line(WAITING), wishes, steps, off, off
        line = view.cost_line(job, work.cost_of(job), on_zero_gpu=runtime.on_zero_gpu())
    except InputError as error:
        return refused_line(str(error)), wishes, gr.skip(), off, off
    on = gr.Button(interactive=not work.SESSIONS.busy(request.session_hash))
    return line, wishes, steps, on, on


def loading():
    """What the cost line says while the example is read."""
    return waiting_line(LOADING)


@says_mistakes
def example():
    """The bundled dance: outputs for [session, keyframes, their row, song, dancer, figures, pattern, start, end]."""
    import json

    from genkey_core.dance.followed import follow

    told = json.loads((state.EXAMPLE / "settings.json").read_text(encoding="utf-8"))

    def copied(name: str) -> str:
        return save_file_to_cache(state.EXAMPLE / name, get_upload_folder())  # only what lies there is served

    files = [copied(name) for name in told["keyframes"]]
    song, motion = copied(told["song"]), copied(told["motion"])
    session = {**state.held(None), "keyframes": files, "song": song, "name": told["song"], "motion": motion}
    session = {**session, "folder": work.clips_folder(session), "marks": state.example_marks(told)}
    found = follow(motion, state.beats_of(session))
    gr.Info("A drawn marmot, its song, and the dancer whose steps it follows.", title="Example", duration=8)
    return session, files, row_of(files), song, motion, view.figures_of(found), str(found.choreography.pattern), 0, 0


@says_mistakes
def open_project(session: dict | None, path: str | None):
    """A saved dance: outputs for [session, the box, *controls]. Its files are asked for where others are here."""
    from genkey_core import recipe
    from genkey_core.dance.project import Project
    from genkey_core.media.files import open_local

    stay = [gr.skip()] * len(state.CONTROLS)
    if not path:
        return gr.skip(), gr.skip(), *stay
    session = state.held(session)
    try:
        with open_local(path, max_bytes=1_000_000) as file:
            project = Project.from_json(file.read().decode("utf-8", "replace"))
        if project.beats and session["song"]:
            project.beats.on(state.heard(session["song"]))
    except InputError as error:
        _warned(error)
        return gr.skip(), None, *stay
    here = [(Path(p).name, recipe.file_sha256(p)) for p in (*session["keyframes"], session["song"]) if p]
    others = project.strangers(here)
    if others:
        gr.Warning(as_text(f"The project was made with other files than {', '.join(others)}."), title="Project")
    marks = None if project.beats is None else vars(project.beats)
    values = project.settings.to_dict() | {"end_s": project.settings.end_s or 0, "solution": 1}
    return {**session, "marks": marks}, gr.skip(), *(values[name] for name in state.CONTROLS)
