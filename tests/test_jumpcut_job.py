"""The jump-cut job: a video surveyed once, what sliders and choices make of it, and the video made."""

import wave
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from media_samples import counted, write_video

from genkey_core import InputError, media, recipe
from genkey_core.jumpcut.cutlist import Row
from genkey_core.jumpcut.edit import result_frames
from genkey_core.jumpcut.estimate import Speed, analysis_cost, cut_cost
from genkey_core.jumpcut.job import Result, Step, judge, make
from genkey_core.jumpcut.planning import plan
from genkey_core.jumpcut.settings import PRESETS, Choice, Settings
from genkey_core.jumpcut.soundtrack import written_sound
from genkey_core.jumpcut.survey import MAX_DURATION_S, Survey, Surveying, checked_info, survey
from genkey_core.media import Audio, VideoWriter

FPS, RATE, SIZE = 10, 16_000, (96, 64)
CLICKS_S = (0.3, 1.0, 2.6, 3.3)  # the picture flashes with each; 1.2 to 2.4 s is a pause


def picture(i: int) -> np.ndarray:
    """A head that sways before a textured wall; white at the frames of the clicks."""
    paint = np.random.default_rng(5)
    wall = cv2.GaussianBlur(paint.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.float32), (0, 0), 5)
    image = cv2.normalize(wall, None, 60, 180, cv2.NORM_MINMAX).astype(np.uint8)
    cv2.circle(image, (48 + round(4 * np.sin(i / 4)), 34), 14, (200, 150, 120), -1, cv2.LINE_AA)
    return np.full_like(image, 255) if any(i == round(t * FPS) for t in CLICKS_S) else image


def voice(duration_s: float = 4.0) -> np.ndarray:
    """float32 [1 S]: a buzz that comes and goes like syllables, silent from 1.2 to 2.4 s, with loud clicks."""
    t = np.arange(round(duration_s * RATE)) / RATE
    pitch = 120 + 15 * np.sin(2 * np.pi * 1.3 * t)
    buzz = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / RATE) / k for k in range(1, 12))
    sound = 0.05 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    sound *= (t < 1.2) | (t > 2.4)
    sound += 1e-4 * np.random.default_rng(1).standard_normal(len(t))
    for click_s in CLICKS_S:
        at = round(click_s * RATE)
        sound[at : at + 80] += 0.8 * np.hanning(80) * np.sin(np.arange(80))
    return sound.astype(np.float32)[None]


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A four-second talk, its survey, and the folder that it is saved in."""
    folder = tmp_path_factory.mktemp("talk")
    path = folder / "talk.mp4"
    with VideoWriter(path, fps=FPS, size=SIZE, audio=Audio(voice(), RATE)) as writer:
        for i in range(4 * FPS):
            writer.write(picture(i))
    *steps, found = survey(path, folder)
    return SimpleNamespace(path=path, folder=folder, steps=steps, survey=found)


def finished(path, out, job, **options) -> tuple[list[Step], Result]:
    *steps, result = make(path, out, job, **options)
    return steps, result


# --- survey --------------------------------------------------------------------------------------------------------


def test_a_survey_finds_the_pause_and_makes_what_a_page_draws(talk):
    found = talk.survey
    assert (found.width, found.height, found.fps, found.n_frames) == (*SIZE, FPS, 4 * FPS)
    assert found.has_sound
    long = [row for row in found.rows if row.kind == "pause" and row.end_s - row.start_s > 0.5]
    assert len(long) == 1
    assert (long[0].start_s, long[0].end_s) == pytest.approx((1.2, 2.4), abs=0.06)
    assert found.thumbs.ndim == 4
    assert len(found.thumbs) == 4 * FPS
    copy = media.probe(found.proxy)
    assert (copy.n_frames, copy.has_audio) == (4 * FPS, True)
    assert all(isinstance(step, Surveying) and 0 <= step.share <= 1 for step in talk.steps)


def test_a_survey_comes_back_from_its_folder_and_a_deleted_one_says_so(talk, tmp_path):
    again = Survey.load(talk.folder)
    assert again.rows == talk.survey.rows
    assert again.fps == talk.survey.fps
    assert again.proxy == talk.survey.proxy
    np.testing.assert_array_equal(again.level_db, talk.survey.level_db)
    with pytest.raises(InputError, match="analyse again"):
        Survey.load(tmp_path)


def test_sliders_choose_among_what_was_heard_and_rows_keep_their_numbers(talk):
    rows = (
        *(Row(t, t + d, "pause") for t, d in ((0.1, 0.15), (0.5, 0.3), (1.0, 0.5), (2.0, 0.9))),
        Row(3, 3.4, "filler"),
    )
    found = replace(talk.survey, rows=rows)
    chosen = found.proposals(Settings(shortest_pause_s=0.3, natural=0.0))
    assert [i for i, _ in chosen] == [1, 2, 3, 4]
    assert all(row.remove for _, row in chosen)
    natural = dict(found.proposals(Settings(shortest_pause_s=0.3, natural=0.34)))
    assert [i for i, row in natural.items() if not row.remove] == [1]  # the shortest third of the pauses
    assert 4 not in dict(found.proposals(Settings(fillers=False)))
    whole = replace(talk.survey, rows=(Row(0.0, 3.99, "pause"),))
    assert [row.remove for _, row in whole.proposals(Settings())] == [False]
    for preset in PRESETS.values():
        Settings.from_dict(preset)


def test_more_rows_keep_the_numbers_of_those_there_and_end_with_the_video(talk):
    more = talk.survey.with_rows([Row(3.5, 9.0, "repeat"), Row(5.0, 6.0, "repeat")])
    assert more.rows[:-1] == talk.survey.rows
    assert more.rows[-1].end_s == 4.0


# --- plan ----------------------------------------------------------------------------------------------------------


def test_a_choice_holds_for_the_cut_that_overlaps_it_and_inserts_frames_there_alone(talk):
    rows = [Row(1.0, 1.5, "range"), Row(2.0, 2.5, "range")]
    job = plan(talk.survey, rows, Settings(n_inserted=3, mode="hard cut"), choices=[Choice(11, 14, "inserted")])
    assert [(cut.key, cut.mode, cut.chosen) for cut in job.cuts] == [
        ((9, 15), "inserted", True),
        ((19, 25), "hard cut", False),
    ]
    assert [piece.inserted for piece in job.pieces] == [3, 0, 0]
    assert job.n_frames == 40 - 5 - 5 + 3
    assert job.cuts[1].at_s == pytest.approx((10 + 3 + 5) / FPS)
    assert job.removed_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("make_plan", "says"),
    [
        (lambda s: plan(s, [Row(2.0, 1.0, "range")]), "row 1: it ends at 1 s, before its start"),
        (lambda s: plan(s, [Row(7.0, 8.0, "range")]), "starts at 7 s, but the video ends at 4 s"),
        (lambda s: plan(s, [Row(float("nan"), 1.0, "range")]), "a finite number is needed"),
        (lambda s: plan(s, [Row(0.0, 4.0, "range")]), "everything would be removed"),
        (lambda s: plan(s, [], Settings(mode="melt")), "mode: one of auto"),
        (lambda s: plan(s, [], Settings(padding_s=-1)), "padding: must be between"),
        (lambda s: plan(s, [], choices=[Choice(5, 5, "blended")]), "choice 1, first frame after"),
        (lambda s: plan(s, [Row(1, 2, "range")], Settings(engine="magic")), "cut 1"),
        (lambda s: Settings.from_dict({"speed": 2}), "'speed' is not known"),
    ],
)
def test_wrong_rows_and_settings_are_sentences(talk, make_plan, says):
    with pytest.raises(InputError, match=says) as error:
        make_plan(talk.survey)
    assert len(str(error.value)) < 300


def test_costs_are_known_beforehand_and_grow_with_the_work(talk, monkeypatch):
    known = Speed(read=0.01, write=0.02, follow=0.005, made=0.5, begin=0.05)
    monkeypatch.setattr("genkey_core.jumpcut.estimate.measured_speed", lambda: known)
    small = cut_cost(plan(talk.survey, [Row(1.2, 2.4, "range")]))
    more = cut_cost(plan(talk.survey, [Row(t, t + 0.2, "range") for t in (0.5, 1.5, 2.5)]))
    assert 0 < small.seconds < more.seconds
    assert small.frames == 28
    assert analysis_cost(media.probe(talk.path)).disk_bytes > 0


# --- make ----------------------------------------------------------------------------------------------------------


def test_the_cut_video_has_its_sound_in_step_and_its_recipe_inside(talk, tmp_path):
    rows = [row for _, row in talk.survey.proposals(Settings())]
    job = plan(talk.survey, rows, Settings(neighbourhood=2, n_sources=0, mode="blended"))
    steps, result = finished(talk.path, tmp_path / "cut.mp4", job, name="mine.mp4")
    facts = media.probe(result.path)
    assert result.complete
    assert facts.n_frames == result.frames == result_frames(job.pieces)
    assert abs(facts.audio_duration_s - facts.duration_s) < 0.5 / FPS
    assert [step.outcome.mode for step in steps if step.outcome] == ["blended"]
    assert not list(tmp_path.glob("*.wav"))
    made = recipe.read(result.path, method="jumpcut")
    assert made == result.recipe
    assert made["inputs"] == [{"name": "mine.mp4", "sha256": recipe.file_sha256(talk.path)}]
    heard = media.read_audio(result.path)
    loud = np.flatnonzero(np.abs(heard.samples[0]) > 0.35)
    clicks_s = loud[np.diff(loud, prepend=-99999) > heard.sample_rate // 10] / heard.sample_rate
    shown = [f.image.mean() > 220 for f in media.read_frames(result.path)]
    flashes_s = np.flatnonzero(shown) / FPS
    assert len(clicks_s) == len(CLICKS_S)
    assert clicks_s == pytest.approx(flashes_s, abs=0.5 / FPS)


def test_inserted_frames_have_room_tone_and_every_other_frame_is_as_filmed(talk, tmp_path):
    job = plan(talk.survey, [Row(1.3, 2.0, "range")], Settings(mode="inserted", n_inserted=3, n_sources=0))
    with written_sound(talk.path, tmp_path / "s.wav", job) as wav, wave.open(str(wav)) as file:
        assert file.getnframes() == round(job.n_frames * file.getframerate() / FPS)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    new = samples[round(1.32 * RATE) : round(1.58 * RATE)]
    assert 20 * np.log10(new.std() / 1e-4) == pytest.approx(0, abs=6)
    _, result = finished(talk.path, tmp_path / "cut.mp4", job)
    frames = [f.image for f in media.read_frames(result.path)]
    source = [f.image for f in media.read_frames(talk.path)]
    assert len(frames) == 40 - 7 + 3
    for k, i in ((5, 5), (12, 12), (16, 20), (35, 39)):
        assert np.abs(frames[k].astype(int) - source[i]).mean() < 2.5  # the codec's loss


def test_cancelling_keeps_what_is_done_and_closing_leaves_nothing(talk, tmp_path):
    job = plan(talk.survey, [Row(1.3, 2.0, "range")], Settings(mode="hard cut"))
    asked = iter([False] * 12 + [True] * 99)
    _, result = finished(talk.path, tmp_path / "part.mp4", job, cancelled=lambda: next(asked))
    assert not result.complete
    assert media.probe(result.path).n_frames == result.frames > 0
    assert media.probe(result.path).has_audio
    work = make(talk.path, tmp_path / "none.mp4", job)
    for _ in range(9):
        next(work)
    work.close()
    assert [p.name for p in tmp_path.iterdir()] == ["part.mp4"]


def test_an_engine_that_breaks_down_keeps_what_is_done(talk, tmp_path):
    def broken(start, end, positions):
        raise RuntimeError("no more")
        yield

    job = plan(talk.survey, [Row(1.3, 2.0, "range")], Settings(engine="broken", mode="blended"), engines=["broken"])
    _, result = finished(talk.path, tmp_path / "part.mp4", job, engines={"broken": broken})
    assert "broke down (RuntimeError: 'no more')" in result.problem
    assert 0 < media.probe(result.path).n_frames < 13


def test_triage_is_known_before_anything_is_made_and_agrees_with_the_result(talk, tmp_path):
    job = plan(talk.survey, [Row(0.5, 0.8, "range"), Row(1.3, 2.0, "range")], Settings(mode="hard cut"))
    judged = list(judge(talk.path, job))
    assert [j.cut.key for j in judged] == [cut.key for cut in job.cuts]
    assert [j.cut.number for j in judge(talk.path, job, known=[job.cuts[0].key])] == [1]
    _, result = finished(talk.path, tmp_path / "cut.mp4", job)
    for before, after in zip(judged, result.outcomes, strict=True):
        assert before.triage.recommended == after.triage.recommended
        assert before.triage.score == pytest.approx(after.triage.score, abs=0.02)


# --- bad and odd input ---------------------------------------------------------------------------------------------


def test_video_without_sound_of_odd_size_and_three_frames(tmp_path):
    path = tmp_path / "three.mkv"
    write_video(path, [counted(i, 65, 49) for i in range(3)], fps=FPS, pixel_format="yuv444p")
    *_, found = survey(path, tmp_path)
    assert (found.n_frames, found.has_sound, found.rows) == (3, False, ())
    assert "no sound" in found.notes[0]
    with pytest.raises(InputError, match="nothing is set to be removed"):
        finished(path, tmp_path / "cut.mp4", plan(found, []))
    job = plan(found, [Row(0.1, 0.2, "range")])
    _, result = finished(path, tmp_path / "cut.mp4", job)
    facts = media.probe(result.path)
    assert (facts.n_frames, facts.width, facts.height, facts.has_audio) == (2, 66, 50, False)


def test_a_corrupt_tail_is_left_out_and_said(talk, tmp_path):
    path = tmp_path / "cut-off.ts"
    write_video(path, [counted(i) for i in range(50)], fps=FPS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3 // 188 * 188])
    *_, found = survey(path, tmp_path)
    assert 0 < found.n_frames < 50
    _, result = finished(path, tmp_path / "cut.mp4", plan(found, [Row(0.2, 0.6, "range")]))
    assert result.complete
    assert media.probe(result.path).n_frames == found.n_frames - 4


def test_sound_longer_than_the_picture_is_cut_and_silence_proposes_nothing(tmp_path):
    path = tmp_path / "long.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for i in range(20):
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
        out.mux(video.encode(None))
        for at in range(0, 5 * RATE, 1000):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.int16), format="s16", layout="mono")
            silence.sample_rate, silence.pts = RATE, at
            out.mux(sound.encode(silence))
        out.mux(sound.encode(None))
    *_, found = survey(path, tmp_path)
    assert found.n_frames == 20
    assert [row for row in found.rows if row.remove] == []
    assert any("sound goes on after 2.0 s" in note for note in found.notes)
    assert any("silent throughout" in note for note in found.notes)


def test_what_is_no_video_or_too_long_is_refused(talk, tmp_path, monkeypatch):
    (tmp_path / "notes.mp4").write_text("these are only words\n" * 30)
    with pytest.raises(InputError, match=r"notes\.mp4"):
        checked_info(tmp_path / "notes.mp4")
    long = replace(media.probe(talk.path), duration_s=MAX_DURATION_S + 60)
    monkeypatch.setattr("genkey_core.jumpcut.survey.probe", lambda path: long)
    with pytest.raises(InputError, match="at most 60 minutes are taken, got 61"):
        checked_info(talk.path)


# --- real footage --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_real_talk_is_cut_with_its_sound_in_step(real_media, tmp_path):
    """Odd frame rate: every kept piece's sound must equal the source's at its frames, and the lengths agree."""
    path = real_media / "talk" / "suit_blinds_22fps.mp4"
    *_, found = survey(path, tmp_path)
    assert found.fps != Fraction(22)
    rows = [row for _, row in found.proposals(Settings())]
    job = plan(found, rows, Settings(mode="hard cut", max_side=256))
    with written_sound(path, tmp_path / "s.wav", job) as wav, wave.open(str(wav)) as file:
        rate = file.getframerate()
        made = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels()).T / 32768
    source = media.read_audio(path).samples
    at = 0
    for piece in job.pieces:
        shift = round(piece.start * rate / found.fps) - round(at * rate / found.fps)
        at += piece.n_frames
        inner = slice(round((at - piece.n_frames) * rate / found.fps) + 800, round(at * rate / found.fps) - 800)
        there = source[:, inner.start + shift : inner.stop + shift]  # the file's sound ends before its picture
        assert there.shape[1] > 0.5 * (inner.stop - inner.start)
        assert np.abs(made[:, inner][:, : there.shape[1]] - there).max() < 2e-3
    _, result = finished(path, tmp_path / "cut.mp4", job)
    facts = media.probe(result.path)
    assert abs(facts.audio_duration_s - facts.duration_s) < 0.5 / float(found.fps)
