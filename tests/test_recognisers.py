"""Recognisers: which can be chosen, what they cost, and their way here from a small Hub on this machine."""

import numpy as np
import pytest
from fake_hub import COMMIT, connected
from media_samples import write_sound

from genkey_core import InputError, hub, runtime
from genkey_core.hub import DownloadError
from genkey_core.jumpcut import recognisers
from genkey_core.jumpcut.acoustics import RATE
from genkey_core.jumpcut.recognisers import Fetching, RecogniserCost, check, cost, recognise, recogniser
from genkey_core.jumpcut.transcript import Recognising, Transcript

OWN = f"someone/verbatim@{COMMIT}"


@pytest.fixture
def fake(monkeypatch, tmp_path):
    with connected(monkeypatch, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The files of a tiny Whisper, whole and in shards."""
    pytest.importorskip("transformers")
    from tiny_whisper import save_tiny_whisper
    from transformers import WhisperForConditionalGeneration

    folder = save_tiny_whisper(tmp_path_factory.mktemp("whisper"))
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    WhisperForConditionalGeneration.from_pretrained(folder).save_pretrained(folder, max_shard_size="40KB")
    shards = {p.name: p.read_bytes() for p in folder.iterdir() if p.name.startswith("model-")}
    index = (folder / "model.safetensors.index.json").read_bytes()
    rest = {name: content for name, content in whole.items() if name != "model.safetensors"}
    return {"whole": whole, "sharded": {**rest, **shards, "model.safetensors.index.json": index}}


@pytest.fixture
def sound(tmp_path, rng):
    noise = (0.1 * rng.standard_normal((1, 6 * RATE))).astype(np.float32)
    sounds = np.zeros(600, bool)
    sounds[50:550] = True
    return str(write_sound(tmp_path / "a.wav", noise, RATE, codec="pcm_s16le")), sounds


def test_the_published_ones_are_pinned_and_others_are_named_by_commit():
    assert recogniser("none") is None
    assert recogniser("") is None
    for name in recognisers.PUBLISHED:
        assert recogniser(name) is hub.checkpoint(name)
        assert len(recogniser(name).revision) == 40
    own = recogniser(" nyrahealth/CrisperWhisper@0123abc ")
    assert (own.repo_id, own.revision) == ("nyrahealth/CrisperWhisper", "0123abc")
    assert all(name.endswith((".json", ".txt", ".safetensors")) for name in own.files)


@pytest.mark.parametrize(
    "name", ["whisper-huge", "a/b", "a/b@main", "../x@0123abc", "/etc@0123abc", 7, "a/b/c@0123abc"]
)
def test_other_names_are_refused_with_the_form(name):
    with pytest.raises(InputError, match="owner/name@commit"):
        check(name)


def test_on_a_space_only_listed_ones_are_taken(monkeypatch):
    monkeypatch.setattr(runtime, "on_spaces", lambda: True)
    assert check("whisper-small") is not None
    with pytest.raises(InputError, match="shared machine"):
        check(OWN)


@pytest.mark.parametrize("language", ["english", "EN", "e", 5, "e1"])
def test_languages_are_letters(language):
    with pytest.raises(InputError, match="two letters"):
        check("whisper-small", language)
    assert check("none", "de") is None


def test_costs_grow_with_length_and_size_and_are_less_on_a_gpu(fake):
    small, turbo = (hub.checkpoint(name) for name in recognisers.PUBLISHED)
    assert 0 < cost(small, 60, device="cpu").seconds < cost(small, 600, device="cpu").seconds
    assert cost(small, 600, device="cpu").seconds < cost(turbo, 600, device="cpu").seconds
    assert cost(turbo, 600, device="cuda").seconds < cost(turbo, 600, device="cpu").seconds
    assert cost(small, 60).download_bytes == small.size_bytes
    line = cost(small, 60, device="cpu").sentence()
    assert "972 MB" in line
    assert "this machine's processors" in line
    assert "fetches its weights" in cost(recogniser(OWN), 60).sentence()


def test_estimates_learn_from_what_ran(monkeypatch):
    monkeypatch.setattr(recognisers, "_measured", {})
    entry = hub.checkpoint("whisper-small")
    before: RecogniserCost = cost(entry, 600, device="cpu")
    recognisers.learn(entry, before.seconds, 4 * before.seconds)
    assert before.seconds * 1.5 < cost(entry, 600, device="cpu").seconds < before.seconds * 4


@pytest.mark.parametrize("layout", ["whole", "sharded"])
def test_one_of_the_hub_is_fetched_and_transcribes_and_the_next_time_asks_no_network(fake, tiny, sound, layout):
    fake.add("someone/verbatim", {**tiny[layout], "pytorch_model.bin": b"not wanted" * 200, "run.py": b"print()"})
    entry, (path, sounds) = recogniser(OWN), sound
    *steps, transcript = recognise(entry, path, sounds, language="en")
    assert isinstance(transcript, Transcript)
    assert {type(step) for step in steps} == {Fetching, Recognising}
    assert any("fetching someone/verbatim: 100 %" in step.said for step in steps if isinstance(step, Fetching))
    asked = [request.path for request in fake.requests]
    assert not [p for p in asked if p.endswith((".bin", ".py"))]
    fake.requests.clear()
    assert cost(entry, 6).download_bytes == 0
    *_, again = recognise(entry, path, sounds, language="en")
    assert again == transcript
    assert fake.requests == []


def test_what_cannot_be_brought_is_a_sentence(fake, tiny, sound):
    entry, (path, sounds) = recogniser(OWN), sound
    with pytest.raises(DownloadError, match="not on the Hub"):
        list(recognise(entry, path, sounds))
    fake.add("someone/verbatim", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    with pytest.raises(InputError, match="holds no Whisper"):
        list(recognise(entry, path, sounds))
    half = {name: content for name, content in tiny["sharded"].items() if not name.startswith("model-00002")}
    fake.add("someone/verbatim", half)
    with pytest.raises(InputError, match="holds no Whisper"):
        list(recognise(entry, path, sounds))


def test_offline_is_a_sentence_before_anything_is_loaded(fake, sound, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    path, sounds = sound
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE forbids"):
        list(recognise(hub.checkpoint("whisper-small"), path, sounds))


def test_closing_stops_the_fetching_and_keeps_what_came(fake, tiny, sound, tmp_path):
    big = tiny["whole"] | {"vocab.json": b" " * 3_000_000}
    fake.add("someone/verbatim", big)
    path, sounds = sound
    work = recognise(recogniser(OWN), path, sounds)
    for step in work:
        if "fetching" in getattr(step, "said", ""):
            break
    work.close()
    assert list((tmp_path / "hub").rglob("blobs/*"))
    assert not list((tmp_path / "hub").rglob("snapshots/*/model.safetensors"))


def test_a_damaged_checkpoint_says_so(fake, tiny, sound):
    fake.add("someone/verbatim", tiny["whole"] | {"model.safetensors": b"\0" * 2000})
    path, sounds = sound
    with pytest.raises(InputError, match=r"weights in .* cannot be read"):
        list(recognise(recogniser(OWN), path, sounds))


def test_weights_that_lack_a_tensor_are_refused_rather_than_drawn(fake, tiny, sound):
    from safetensors.torch import load, save

    tensors = load(tiny["whole"]["model.safetensors"])
    gone = next(name for name in tensors if name.endswith("fc1.weight"))
    del tensors[gone]
    fake.add("someone/verbatim", tiny["whole"] | {"model.safetensors": save(tensors, {"format": "pt"})})
    path, sounds = sound
    with pytest.raises(InputError, match="lack 1 tensors"):
        list(recognise(recogniser(OWN), path, sounds))


def test_a_recogniser_without_word_times_says_so(fake, tiny, sound):
    bare = tiny["whole"]["generation_config.json"].replace(b'"alignment_heads"', b'"other_heads"')
    fake.add("someone/verbatim", tiny["whole"] | {"generation_config.json": bare})
    path, sounds = sound
    with pytest.raises(InputError, match="no alignment_heads"):
        list(recognise(recogniser(OWN), path, sounds))
