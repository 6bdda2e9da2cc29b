"""The hub as an MCP server: images by the address of an upload here or as data, every tool with a schema that validates."""

import asyncio
import base64

import pytest
from hostile_files import noise_png
from raw_hub import API, Listener, Visitor

pytestmark = pytest.mark.app
mcp = pytest.importorskip("mcp")


def with_tools(hub, work):
    """The result of `work(session, names of the tools by endpoint, their schemas)` over a connection of its own."""
    from mcp.client.streamable_http import streamable_http_client

    async def run():
        url = f"{hub.url}{API}/mcp/"
        async with streamable_http_client(url) as (read, write, _), mcp.ClientSession(read, write) as session:
            await session.initialize()
            tools = {t.name: t.inputSchema for t in (await session.list_tools()).tools}
            return await work(session, tools)

    return asyncio.run(run())


def made_of(hub, images: list) -> tuple[bool, str]:
    """Whether the in-between tool failed, and all its text."""

    async def work(session, tools):
        name = next(n for n in tools if n.endswith("inbetween"))
        answer = await session.call_tool(name, {"images": images, "duration_s": 0.25, "fps": 8})
        return answer.isError, " ".join(getattr(c, "text", "") for c in answer.content)

    return with_tools(hub, work)


def test_every_tools_schema_is_valid(hub):
    jsonschema = pytest.importorskip("jsonschema")

    async def schemas(_session, tools):
        return tools

    tools = with_tools(hub, schemas)
    assert len(tools) == 14
    for schema in tools.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert "$ref" not in str(schema)  # MCP moves them, and their targets are lost


def test_images_by_the_address_of_an_upload_or_as_data_become_a_video(hub):
    visitor, images = Visitor(hub.url), [noise_png(k) for k in range(2)]
    uploaded = [f"{hub.url}{API}/file={visitor.upload(f'{k}.png', image).json()[0]}" for k, image in enumerate(images)]
    inline = [f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images]
    for sent in (uploaded, inline, [uploaded[0], inline[1]]):
        failed, text = made_of(hub, sent)
        assert not failed, text
        assert "'frames': 3" in text


@pytest.mark.parametrize("where", ["/x.png", "@passwd", "@remote"])
def test_no_other_address_or_file_is_read(hub, where):
    with Listener() as listener:
        address = {"@passwd": "/etc/passwd", "@remote": "http://169.254.169.254/x.png"}.get(where, listener.url + where)
        failed, text = made_of(hub, [address] * 2)
        assert failed
        assert text.startswith("files: ")
        assert len(text) < 300
    assert listener.contacts == 0
