"""Cost lines and limits: read well, and refuse with the remedy."""

import pytest

from genkey_core.checks import InputError
from genkey_core.cost import Cost, Limits, duration_text, size_text

COST = Cost(frames=49, seconds=12.3, memory_bytes=199_000_000, disk_bytes=36_000_000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (0.8, "0.8 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("n", "text"), [(10, "1 kB"), (850e3, "850 kB"), (12.4e6, "12 MB"), (1.44e9, "1.4 GB")])
def test_sizes_read_well(n, text):
    assert size_text(n) == text


def test_the_sentence_names_frames_time_memory_disk_and_on_zero_gpu_the_quota():
    plain = COST.sentence()
    assert plain == "49 frames · about 12 s on this machine · 199 MB memory · 36 MB on disk"
    assert "takes nothing (this engine runs on the CPU) of your GPU quota" in COST.sentence(on_zero_gpu=True)
    leased = Cost(49, 12.3, 1, 1, gpu_quota_s=90)
    assert "takes 90 s of your GPU quota" in leased.sentence(on_zero_gpu=True)


def test_the_sentence_names_the_memory_mode_and_what_is_fetched_first():
    cost = Cost(49, 12.3, 1, 1, memory_mode="16 GB", download_bytes=4_510_000_000)
    assert cost.sentence().endswith("· in the 16 GB memory mode · fetches 4.5 GB first")
    assert "memory mode" not in COST.sentence()


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(max_frames=48), "frames: this machine takes at most 48 per job, got 49; choose shorter gaps"),
        (Limits(max_seconds=10), "time: this job would take about 12 s, the limit here is 10 s; choose a smaller size"),
        (Limits(max_memory_bytes=100_000_000), "memory: this job needs about 199 MB, 100 MB may be used"),
        (Limits(max_disk_bytes=30_000_000), "disk: this job needs about 36 MB, 30 MB may be used"),
    ],
)
def test_each_limit_refuses_with_its_remedy(limits, says):
    Limits().check(COST)
    with pytest.raises(InputError, match=says):
        limits.check(COST)


def test_limits_come_from_the_environment_and_are_stricter_on_a_shared_host(monkeypatch):
    assert Limits.from_environment(shared_host=True).max_seconds < Limits.from_environment().max_seconds
    monkeypatch.setenv("GENKEY_MAX_FRAMES", "100")
    monkeypatch.setenv("GENKEY_MAX_SECONDS", "60")
    limits = Limits.from_environment(free_memory_bytes=1000, free_disk_bytes=1000)
    assert (limits.max_frames, limits.max_seconds) == (100, 60)
    assert (limits.max_memory_bytes, limits.max_disk_bytes) == (800, 900)
    monkeypatch.setenv("GENKEY_MAX_FRAMES", "many")
    with pytest.raises(InputError, match="GENKEY_MAX_FRAMES"):
        Limits.from_environment()
