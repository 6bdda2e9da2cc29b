"""The whole hub over HTTP, as a colleague's script or an MCP client uses it; and every bad input said in a sentence."""

import ast
import asyncio
import io
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from genkey_core import media, recipe

pytestmark = pytest.mark.app
client_module = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    return hub.client(tmp_path_factory.mktemp("downloads"))


def handled(paths):
    return [client_module.handle_file(str(p)) for p in paths]


def make(client, images, **options):
    return client.predict(images=images, **{"fps": 8, "duration_s": 0.5, **options}, api_name="/inbetween")


def refusal(client, images, **options) -> str:
    with pytest.raises(client_module.exceptions.AppError) as error:
        make(client, images, **options)
    return str(error.value)


def test_opening_the_page_loads_no_model_library():
    code = (
        "import app, sys; app.page_of(app.TABS);"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'librosa', 'moviepy', 'spaces') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=str(media.__file__).split("genkey_core")[0]
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr[-2000:]


def test_images_become_a_video_with_its_recipe_over_http(client, pictures):
    video, frames, info = make(client, handled(pictures), easing="ease-in-out", frames_zip=True)
    video = video["video"] if isinstance(video, dict) else video
    facts = media.probe(video)
    assert (facts.width, facts.height, round(facts.fps)) == (160, 120, 8)
    assert info["complete"] is True
    assert info["frames"] == 9
    assert info["engine"] == "draft"
    made = recipe.read(video, method="inbetween")
    assert made == info["recipe"]
    assert made["inputs"][0]["sha256"] == recipe.file_sha256(pictures[0])
    assert made["inputs"][0]["name"] == "move-1.png"
    with zipfile.ZipFile(frames) as archive:
        assert len(archive.namelist()) == 9
    assert client.predict(client_module.handle_file(video), api_name="/inbetween_recipe") == made


def test_gaps_can_be_given_one_by_one(client, pictures):
    gaps = [{"duration_s": 0.25, "hold_s": 0.5}, {"duration_s": 1.0, "easing": "steps(4)"}]
    _, frames, info = make(client, handled(pictures), gaps=gaps, playback="ping-pong", size="1:1", fit="crop")
    assert frames is None
    assert info["frames"] == 2 * 15 - 2
    assert info["recipe"]["output"]["width"] == info["recipe"]["output"]["height"]


def test_the_cost_is_known_before_any_image_is_sent(client):
    cost = client.predict(width=1024, height=576, frames=48, frames_zip=False, api_name="/inbetween_cost")
    assert cost["seconds"] > 0
    assert cost["gpu_quota_s"] == 0
    with pytest.raises(client_module.exceptions.AppError, match="at most 20,000 per job, got 1,000,000"):
        client.predict(width=1024, height=576, frames=1_000_000, frames_zip=False, api_name="/inbetween_cost")


def test_every_endpoint_is_named_typed_and_documented(client, hub):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    of_inbetween = {"/inbetween", "/inbetween_cost", "/inbetween_recipe", "/inbetween_variants"}
    of_zoom = {"/zoom", "/zoom_cost", "/zoom_recipe"}
    of_dance = {"/dance", "/dance_beats", "/dance_grid", "/dance_pattern"}
    of_jumpcut = {"/jumpcut", "/jumpcut_analyse", "/jumpcut_fit"}
    assert set(endpoints) == of_inbetween | of_zoom | of_dance | of_jumpcut
    names = [p["parameter_name"] for p in endpoints["/inbetween"]["parameters"]]
    assert names[:4] == ["images", "duration_s", "easing", "hold_s"]
    assert all(p["python_type"]["type"] for p in endpoints["/inbetween"]["parameters"])


def test_the_same_jobs_are_mcp_tools(hub, pictures):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def tools():
        url = f"{hub.url}/gradio_api/mcp/"
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            listed = (await session.list_tools()).tools
            cost = next(t.name for t in listed if t.name.endswith("inbetween_cost"))
            answer = await session.call_tool(cost, {"width": 320, "height": 240, "frames": 10, "frames_zip": False})
            return listed, answer

    listed, answer = asyncio.run(tools())
    tool = next(t for t in listed if t.name.endswith("inbetween"))
    assert "moves from each image to the next" in tool.description
    assert "cubic-bezier" in tool.inputSchema["properties"]["easing"]["description"]
    assert ast.literal_eval(answer.content[0].text)["seconds"] > 0


def png_header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size it does not have the pixels for: a decompression bomb, without the bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(size) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)).save(packed, "JPEG")
    return packed.getvalue()


BROKEN = {
    "notes.png": (b"these are only words\n" * 20, "not a picture"),
    "empty.png": (b"", "empty"),
    "cut.jpg": (jpeg((200, 300))[:4000], "truncated|incomplete|cut|damaged"),
    "dot.png": (None, "1x1|too small|at least"),
    "bomb.png": (png_header_only(30_000, 30_000), "too large"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_named_and_nothing_is_written(client, hub, pictures, tmp_path, name):
    content, says = BROKEN[name]
    path = tmp_path / name
    if content is None:
        Image.new("RGB", (1, 1)).save(path)
    else:
        path.write_bytes(content)
    before = set(hub.results())
    message = refusal(client, handled([pictures[0], path]))
    assert name in message
    assert any(word in message.lower() for word in says.split("|")), message
    assert len(message) < 300
    assert str(hub.files) not in message
    assert set(hub.results()) <= before
    assert hub.alive


def test_a_video_where_an_image_is_wanted(client, pictures, tmp_path):
    path = tmp_path / "clip.png"
    with media.VideoWriter(tmp_path / "clip.mp4", fps=8, size=(64, 64)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    path.write_bytes((tmp_path / "clip.mp4").read_bytes())
    message = refusal(client, handled([pictures[0], path]))
    assert "clip.png" in message
    assert "video" in message.lower()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fps": 0}, "fps: must be between 1 and 60, got 0"),
        ({"fps": 1000}, "fps: must be between 1 and 60, got 1000"),
        ({"duration_s": -1}, "gap 1: duration"),
        ({"gaps": [{"duration_s": "NaN"}]}, "gap 1: duration"),
        ({"easing": "cubic-bezier(1.5, 0, 0.5, 1)"}, "x1: must be between 0 and 1, got 1.5"),
        ({"easing": "wobble"}, "easing: one of linear"),
        ({"gaps": [{}, {}, {}]}, "2 keyframes have 1 gaps here, but 3 were given"),
        ({"background": "javascript:alert(1)"}, "background: a colour"),
        ({"max_side": 9}, "longest side"),
        ({"duration_s": 3600, "hold_s": 3600, "fps": 60}, "this machine takes at most 20,000 per job, got 432,001"),
        ({"seed": -5}, "seed"),
    ],
)
def test_a_wrong_setting_is_the_same_sentence_over_http(client, hub, pictures, options, says):
    before = set(hub.results())
    assert says in refusal(client, handled(pictures[:2]), **options)
    assert set(hub.results()) <= before


@pytest.mark.parametrize("n", [0, 1, 25])
def test_too_few_or_too_many_images(client, pictures, n):
    assert f"2 to 24 images are needed, got {n}" in refusal(client, handled([pictures[i % 3] for i in range(n)]))


def test_a_tampered_recipe_is_refused(client, pictures, tmp_path):
    info = make(client, handled(pictures[:2]))[2]
    changed = {**info["recipe"], "seed": 99}
    forged = tmp_path / "forged.mp4"
    with media.VideoWriter(forged, fps=8, size=(64, 64), metadata={"comment": recipe.to_text(changed)}) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(client_module.exceptions.AppError, match="changed after the video was made"):
        client.predict(client_module.handle_file(str(forged)), api_name="/inbetween_recipe")
    plain = tmp_path / "plain.mp4"
    with media.VideoWriter(plain, fps=8, size=(64, 64)) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(client_module.exceptions.AppError, match="carries no recipe"):
        client.predict(client_module.handle_file(str(plain)), api_name="/inbetween_recipe")
