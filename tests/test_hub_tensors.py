"""A few tensors out of a large file by ranged reads, against a small Hub and hostile headers."""

import dataclasses
import errno
import itertools
import json
import os

import pytest
from fake_hub import COMMIT, TINY, connected, refusal
from hypothesis import given
from hypothesis import strategies as st

from genkey_core import hub
from genkey_core.checks import InputError
from genkey_core.hub import download, tensors

torch = pytest.importorskip("torch")
save = pytest.importorskip("safetensors.torch").save


@pytest.fixture
def fake(monkeypatch, tmp_path):
    with connected(monkeypatch, tmp_path) as running:
        yield running


def _model(seed=0):
    """Tensors of which a few small ones are wanted, between others that are not."""
    generator = torch.Generator().manual_seed(seed)
    wanted = {}
    for block in range(3):
        for name, dtype in (("to_v.weight", torch.float16), ("to_out.0.bias", torch.bfloat16)):
            wanted[f"down.{block}.temporal.attn1.{name}"] = torch.randn(8, 4, generator=generator).to(dtype)
    return wanted, {**wanted, **{f"big.{n}": torch.randn(300_000, generator=generator) for n in range(3)}}


@pytest.fixture
def model(fake):
    """The tensors of a file of 3.6 MB on the small Hub: those wanted."""
    wanted, everything = _model()
    fake.repositories[TINY.repo_id].files["unet/model.safetensors"] = save(everything)
    return wanted


PATTERNS = ["down.*.attn1.to_v.weight", "*.attn1.to_out.0.bias"]
FILE = "unet/model.safetensors"


def _received(fake):
    """Bytes of content the client asked for."""
    total = 0
    for request in fake.bodies():
        if request.path.startswith("/cdn"):
            first, last = request.range.removeprefix("bytes=").split("-")
            total += int(last) + 1 - int(first)
    return total


def _assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_only_the_wanted_tensors_cross_the_network(fake, model):
    seen = []
    found = hub.fetch_tensors(TINY, FILE, PATTERNS, progress=lambda done, total, file: seen.append((done, total)))
    _assert_equal(found, model)
    size = len(fake.repositories[TINY.repo_id].files[FILE])
    assert _received(fake) < 0.2 * size
    assert hub.cached(TINY) is None
    wanted_bytes = 6 * 8 * 4 * 2
    assert seen[0] == (0, wanted_bytes)
    assert seen[-1] == (wanted_bytes, wanted_bytes)


def test_extracted_tensors_are_kept_and_serve_offline(fake, model, monkeypatch):
    from huggingface_hub import constants

    hub.fetch_tensors(TINY, FILE, PATTERNS)
    fake.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    _assert_equal(hub.fetch_tensors(TINY, FILE, reversed(PATTERNS)), model)
    assert fake.requests == []
    with pytest.raises(hub.DownloadError, match="HF_HUB_OFFLINE"):
        hub.fetch_tensors(TINY, FILE, ["big.0"])


def test_far_tensors_take_requests_of_their_own(fake, model):
    _, everything = _model()
    names = ["big.0", "big.2", "down.1.temporal.attn1.to_v.weight"]
    _assert_equal(hub.fetch_tensors(TINY, FILE, names), {name: everything[name] for name in names})


def test_a_complete_copy_is_read_where_it_lies(fake, model):
    hub.fetch(TINY)
    fake.requests.clear()
    _assert_equal(hub.fetch_tensors(TINY, FILE, PATTERNS), model)
    assert fake.requests == []


def test_an_abbreviated_revision_works_for_tensors_too(fake, model):
    _assert_equal(hub.fetch_tensors(dataclasses.replace(TINY, revision=COMMIT[:8]), FILE, PATTERNS), model)


def test_without_ranges_the_whole_file_is_fetched_loudly(fake, model):
    fake.ranges = False
    with pytest.warns(UserWarning, match="no parts of files"):
        found = hub.fetch_tensors(TINY, FILE, PATTERNS)
    _assert_equal(found, model)
    assert not any("config" in request.path for request in fake.bodies()), "the one file, not the checkpoint"


def test_a_connection_broken_within_a_range_is_tried_again(fake, model):
    fake.drop_after = 1000
    _assert_equal(hub.fetch_tensors(TINY, FILE, PATTERNS), model)


@pytest.mark.parametrize("names", [["down.9.*"], ["down.0.*", "nothing"]])
def test_names_that_match_nothing_are_a_sentence(fake, model, names):
    with pytest.raises(InputError, match=r"^tiny: .* has no tensor named '.*'\.$"):
        hub.fetch_tensors(TINY, FILE, names)


def test_no_names_and_unknown_files_are_sentences(fake):
    with pytest.raises(InputError, match="got none"):
        hub.fetch_tensors(TINY, FILE, [])
    with pytest.raises(InputError, match=r"got 'unet/unwanted\.bin'"):
        hub.fetch_tensors(TINY, "unet/unwanted.bin", ["x"])
    assert fake.requests == []


def test_gated_tensors_say_what_to_do(fake, model):
    fake.repositories[TINY.repo_id].gated = True
    assert "accept its licence" in refusal(lambda: hub.fetch_tensors(TINY, FILE, PATTERNS))


def _file(header, data=b"\0" * 64, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


_GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
_HOSTILE = {
    "empty": b"",
    "cut in the length": b"\x10\0\0",
    "a header of exabytes": _file({"a": _GOOD}, length=2**62),
    "a header over the limit": _file({"a": _GOOD}, length=tensors._HEADER_LIMIT_BYTES + 1, data=b" " * 26_000_000),
    "a header longer than the file": _file({"a": _GOOD}, length=5000),
    "not JSON": _file(b"{nonsense"),
    "not text": _file(b"\xff\xfe\xff\xfe"),
    "a list": _file([1, 2]),
    "a deep nest": _file(b"[" * 100_000),
    "a name twice": _file(b'{"a": %b, "a": %b}' % ((json.dumps(_GOOD).encode(),) * 2)),
    "no offsets": _file({"a": {"dtype": "F32", "shape": [2]}}),
    "an unknown type": _file({"a": {**_GOOD, "dtype": "F31"}}),
    "negative offsets": _file({"a": {**_GOOD, "data_offsets": [-8, 0]}}),
    "offsets beyond the end": _file({"a": {**_GOOD, "data_offsets": [6000, 6008]}}),
    "offsets backwards": _file({"a": {**_GOOD, "data_offsets": [8, 0]}}),
    "a shape of another size": _file({"a": {**_GOOD, "shape": [3]}}),
    "a shape of exabytes": _file({"a": {**_GOOD, "shape": [2**40, 2**40]}}),
    "a shape of fractions": _file({"a": {**_GOOD, "shape": [2.0]}}),
    "a shape of truths": _file({"a": {**_GOOD, "shape": [True, 2]}}),
    "an entry that is text": _file({"a": "b"}),
}


@pytest.mark.parametrize("content", _HOSTILE.values(), ids=_HOSTILE.keys())
def test_a_hostile_header_is_refused_and_nothing_is_kept(fake, tmp_path, content):
    with pytest.raises(ValueError):
        tensors.read_header(lambda first, stop: content[first:stop], len(content))
    if content:  # the Hub holds no empty large files
        fake.repositories[TINY.repo_id].files[FILE] = content.ljust(2000, b" ")
    assert "arrived damaged" in refusal(lambda: hub.fetch_tensors(TINY, FILE, ["*"]))
    assert not [path for path in tmp_path.rglob("*.safetensors") if path.is_file()]


def test_a_good_header_is_read():
    content = _file({"__metadata__": {"format": "pt"}, "a": _GOOD, "b": {**_GOOD, "data_offsets": [56, 64]}})
    entries = tensors.read_header(lambda first, stop: content[first:stop], len(content))
    assert [(entry.name, entry.shape) for entry in entries] == [("a", (2,)), ("b", (2,))]
    assert entries[1].stop == len(content)


@given(
    spans=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), min_size=1, max_size=30),
    gap=st.integers(0, 50),
)
def test_merged_reads_cover_every_tensor_once_and_never_bridge_a_wide_gap(spans, gap):
    entries = sorted(
        (tensors.TensorEntry(str(i), "U8", (n,), start, start + n) for i, (start, n) in enumerate(spans)),
        key=lambda entry: (entry.start, entry.stop),
    )
    groups = tensors.merged(entries, gap)
    assert [entry for group in groups for entry in group] == entries
    for group in groups:
        reached = group[0].stop
        for entry in group[1:]:
            assert entry.start - reached <= gap
            reached = max(reached, entry.stop)
    for left, right in itertools.pairwise(groups):
        assert right[0].start - max(entry.stop for entry in left) > gap


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="full"):
        download.write_whole(tmp_path / "folder/file", b"content")
    assert list((tmp_path / "folder").iterdir()) == []
