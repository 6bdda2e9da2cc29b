"""The words of the Jump cut tab: transcribed by Whisper with Analyse, or dropped as a file; and cut lists restored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr

from genkey_core import runtime
from genkey_core.checks import InputError, shown
from genkey_core.jumpcut.recognisers import LANGUAGES, NONE, PUBLISHED

from . import jumpcut_state as state
from . import jumpcut_view as view
from . import jumpcut_work as work
from .jobs import as_text, says_mistakes

log = logging.getLogger("genkey")

_NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch",
    "sv": "Swedish", "pl": "Polish", "ru": "Russian", "ja": "Japanese", "zh": "Chinese",
}  # fmt: skip
ABOUT = (
    "With a transcript, Analyse finds the fillers and repeated words that were said, cuts no word, and captions come with "
    "the result. Speech stays on this machine."
)
OTHERS = (
    " Any other Whisper of the Hub can be typed as owner/name@commit; verbatim ones such as nyrahealth/CrisperWhisper "
    "(CC BY-NC, for accounts that accepted it) write down every um."
)


def word_controls() -> dict[str, gr.components.Component]:
    """The recogniser, the language, and what it will cost."""
    with gr.Accordion("Transcribe (Whisper)", open=False, elem_id="jumpcut-words-box"):
        with gr.Row():
            model = gr.Dropdown(
                [("none, by ear alone", NONE), *((name, name) for name in PUBLISHED)],
                value=NONE,
                label="Recogniser",
                allow_custom_value=not runtime.on_spaces(),
                min_width=200,
                elem_id="jumpcut-recogniser",
            )
            language = gr.Dropdown(
                [("as heard", ""), *((_NAMES.get(code, code), code) for code in LANGUAGES)],
                value="",
                label="Language",
                allow_custom_value=True,
                min_width=120,
                elem_id="jumpcut-language",
            )
        line = gr.Markdown(about(), elem_id="jumpcut-words-cost")
    return {"model": model, "language": language, "line": line}


def about() -> str:
    """What a recogniser adds."""
    return ABOUT + ("" if runtime.on_spaces() else OTHERS)


@says_mistakes
def told(session: dict | None, model: object):
    """The line below the recogniser: what it will cost for this video."""
    from genkey_core.jumpcut.recognisers import check, cost
    from genkey_core.media import probe

    try:
        entry = check(model)
        if entry is None:
            return about()
        path = (session or {}).get("path")
        duration_s = probe(path).duration_s if path and Path(path).is_file() else 60.0
        per = "" if path else " for a minute of sound"
        return f"**{entry.name}** ({entry.licence}){per}: {cost(entry, duration_s).sentence()}. {ABOUT}"
    except InputError as error:
        return as_text(str(error))


def transcribed(
    session: dict, entry, language: str | None, controls: tuple, cancelled: Callable[[], bool]
) -> Iterator[tuple]:
    """Add a transcript to a session that is analysed; yields for [status, session, editor].

    Where it cannot be made, the analysis stands without, and the status says why.
    """
    from genkey_core.jumpcut.transcript import Transcript

    found = state.analysed_alone(session)
    try:
        with closing(work.recognised(state.source_of(session), entry, found, language, cancelled)) as steps:
            for item in steps:
                if not isinstance(item, Transcript):
                    yield view.transcribing(item), gr.skip(), gr.skip()
                    continue
                session = {**session, "transcript": item}
                rows = state.proposed(state.survey_of(session), state.settings_of(controls))
                said = f"{len(item.words):,} words were heard ({item.language}); captions come with the result."
                line = view.notes_line(state.survey_of(session), (said, *item.notes))
                yield line, session, gr.HTML(incoming=rows)
                return
        why = "it was cancelled."
    except InputError as error:
        why = str(error)
    except Exception as error:  # whatever a model does, what was found by ear is not thrown away
        log.exception("transcribing broke down")
        why = f"the recogniser broke down ({type(error).__name__}: {shown(str(error), 200)})."
    yield view.notes_line(found, (f"There is no transcript: {why}",)), gr.skip(), gr.skip()


@says_mistakes
def take_words(request: gr.Request, session: dict | None, path: str | None, *controls):
    """A transcript adds fillers, repeats and captions; a cut list exported here restores its rows.

    Outputs for [session, editor, words]; a file that cannot be used leaves the box.
    """
    try:
        if work.SESSIONS.busy(request.session_hash):
            raise InputError(
                "transcript: a job of yours is still at work; wait for it, or cancel it, and drop it again."
            )
        return *_words(session, path, controls), gr.skip()
    except InputError as error:
        gr.Warning(as_text(str(error)), title="Please check", duration=None)
        return gr.skip(), gr.skip(), None


def _words(session: dict | None, path: str | None, controls: tuple) -> tuple:
    from genkey_core.jumpcut.exports import from_json
    from genkey_core.jumpcut.subtitles import read_transcript

    if not path:
        return gr.skip(), gr.skip()
    survey = state.survey_of(session)
    if Path(path).suffix.lower() == ".json" and _is_cut_list(path):
        rows = from_json(Path(path).read_text(encoding="utf-8")).rows
        late = next((row for row in rows if row.start_s >= survey.duration_s), None)
        if late is not None:
            raise InputError(
                f"cut list: a row starts at {late.start_s:g} s, but this video ends at {survey.duration_s:.2f} s; "
                "it belongs to another video."
            )
        gr.Info("The rows of this cut list are set.", duration=8)
        return gr.skip(), gr.HTML(incoming=state.restored(rows))
    transcript = read_transcript(path)
    session = {**session, "transcript": transcript}
    gr.Info(f"{len(transcript.words):,} words were read; captions come with the result.", duration=8)
    return session, gr.HTML(incoming=state.proposed(state.survey_of(session), state.settings_of(controls)))


def _is_cut_list(path: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return '"genkey-cut-list"' in file.read(200)
