"""Hostile files: names that look like options or addresses, contents that name other files, names that are markup."""

from functools import partial
from pathlib import Path

import pytest
from hostile_files import NAMES, contents, noise_png
from raw_hub import Listener, Visitor, file_input

from genkey_core import inbetween as method
from genkey_core import media, recipe
from genkey_core.checks import InputError

pytestmark = pytest.mark.app


@pytest.fixture(scope="module")
def visitor(hub):
    return Visitor(hub.url)


def test_file_names_are_only_names(hub, visitor):
    for k, name in enumerate(NAMES):
        answer = visitor.upload(name, noise_png(20 + k))
        assert answer.status_code == 200, name
        path = Path(answer.json()[0])
        assert path.parent.parent == hub.files, name
        assert len(path.name.encode()) <= 255
        made = visitor.inbetween([str(path)] * 2)
        assert made["success"], (name, made)
        assert made["output"]["data"][2]["recipe"]["inputs"][0]["name"] == path.name
    assert visitor.upload("..", b"x").status_code == 400
    assert hub.alive


@pytest.mark.parametrize("suffix", [".png", ".mp4"])
def test_a_reader_opens_nothing_but_its_file(tmp_path, suffix):
    with Listener() as listener:
        for trick, content in contents(listener.url).items():
            path = tmp_path / f"{trick}{suffix}"
            path.write_bytes(content)
            readers = [media.load_image, media.image_size, media.probe, media.read_metadata, media.has_sound]
            readers += [partial(recipe.read, method="inbetween"), lambda p: list(media.read_frames(p))]
            for reader in readers:
                with pytest.raises(InputError) as error:
                    reader(path)
                assert "root:" not in str(error.value)
                assert len(str(error.value)) < 300
        for address in (listener.url, listener.url + "/a.png", f"concat:{listener.url}|x", "-i", "/dev/zero", "pipe:0"):
            with pytest.raises(InputError):
                media.load_image(address)
            with pytest.raises(InputError):
                media.probe(address)
    assert listener.contacts == 0


def test_hostile_contents_over_http(hub, visitor):
    good = visitor.upload("good.png", noise_png(7)).json()[0]
    before = set(hub.results())
    with Listener() as listener:
        for trick, content in contents(listener.url).items():
            path = visitor.upload(f"{trick}.png", content).json()[0]
            made = visitor.inbetween([good, path])
            assert made["success"] is False
            assert f"{trick}.png" in made["output"]["error"]
            path = visitor.upload(f"{trick}.mp4", content).json()[0]
            assert f"{trick}.mp4" in visitor.refusal(visitor.event("inbetween_recipe"), [file_input(path)])
    assert listener.contacts == 0
    assert set(hub.results()) <= before


def test_names_and_recipes_are_shown_as_text(hub, visitor, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    for k, path in enumerate(paths):
        path.write_bytes(noise_png(40 + k))
    video = tmp_path / "evil.mp4"
    *_, result = media_job(paths, video, names=[evil, evil])
    assert result.recipe["inputs"][0]["name"] == evil
    path = visitor.upload("evil.mp4", video.read_bytes()).json()[0]
    event = visitor.event_of("inbetween-uploads", "upload")
    said = visitor.call(event, visitor.inputs(event, inbetween_uploads=[file_input(path)]))
    assert said[-1]["success"], said[-1]
    logs = [m["log"] for m in said if m["msg"] == "log"]
    assert any("restored" in log for log in logs)
    assert not any("<" in log for log in logs)
    from demos.jobs import in_words

    assert "<" not in in_words(InputError(f"{evil} is not a picture.")).message


def media_job(paths, video, **options):
    """An in-between job run here, with names of the test's own."""
    return method.make(paths, video, method.Settings.from_dict({"gaps": [{"duration_s": 0.25}], "fps": 8}), **options)
