"""Device, seeds, memory and processors of the machine."""

import math
import os
import sys
import types

import numpy as np
import pytest

from genkey_core import runtime
from genkey_core.checks import InputError


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch):
    """No Space, whatever the machine that runs the tests says."""
    for name in ("SPACE_ID", "SYSTEM", "SPACES_ZERO_GPU"):
        monkeypatch.delenv(name, raising=False)


# --- device, type, randomness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cuda", "mps", "wanted"), [(1, 0, "cuda"), (1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")])
def test_best_device_prefers_cuda_then_mps(monkeypatch, cuda, mps, wanted):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert runtime.best_device() == wanted


def test_zero_gpu_is_named_without_asking_torch(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would fail
    assert runtime.best_device() == "cuda"


def test_without_torch_there_is_the_cpu(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert runtime.best_device() == "cpu"


def test_half_precision_on_gpus_only():
    torch = pytest.importorskip("torch")
    assert [runtime.best_dtype(d) for d in ("cpu", "cuda", "cuda:1", "mps")] == [torch.float32] + [torch.float16] * 3


def test_equal_seeds_draw_equally_and_different_seeds_do_not():
    torch = pytest.importorskip("torch")
    first, again, other = (torch.randn(64, generator=runtime.torch_generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    draws = [runtime.numpy_generator(seed).normal(size=64) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_generators_leave_the_global_state_alone():
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    torch.randn(8, generator=runtime.torch_generator(1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("seed", [-1, runtime.MAX_SEED + 1, 1.5, math.nan, "7", None, True])
@pytest.mark.parametrize("make", [runtime.torch_generator, runtime.numpy_generator])
def test_a_seed_out_of_range_is_a_sentence(make, seed):
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"^Seed: .*\.$"):
        make(seed)


def test_fresh_seeds_are_legal_and_differ():
    seeds = {runtime.fresh_seed() for _ in range(50)}
    assert len(seeds) > 45
    assert all(isinstance(seed, int) and 0 <= seed <= runtime.MAX_SEED for seed in seeds)


# --- memory and processors ----------------------------------------------------------------------------------------


@pytest.fixture
def control_groups(monkeypatch, tmp_path):
    """A machine of 64 GB and 16 processors with an empty tree of control groups; returns a writer into it."""
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=64_000))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(runtime, "_CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(runtime, "_CGROUP_OF_PROCESS", tmp_path / "of_process")

    def write(membership, **files):
        (tmp_path / "of_process").write_text(membership)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_version_2_limit_binds_and_file_cache_counts_as_free(control_groups):
    control_groups(
        "0::/box/job\n",
        box__job__memory_dot_max="10000\n",
        box__job__memory_dot_current="7000\n",
        box__job__memory_dot_stat="anon 5000\ninactive_file 1500\n",
        box__job__cpu_dot_max="250000 100000\n",
    )
    assert runtime.available_memory().ram == 10_000 - 7_000 + 1_500
    assert runtime.cpu_count() == 3  # two and a half processors keep three threads busy


def test_the_tightest_group_of_the_chain_binds(control_groups):
    control_groups(
        "0::/box/job\n",
        box__job__memory_dot_max="max\n",
        box__job__memory_dot_current="100\n",
        box__memory_dot_max="4000\n",
        box__memory_dot_current="1000\n",
        box__cpu_dot_max="max 100000\n",
    )
    assert runtime.available_memory().ram == 3_000
    assert runtime.cpu_count() == 16


def test_version_1_limits_under_a_path_of_the_host(control_groups):
    control_groups(
        "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
        memory__memory_dot_limit_in_bytes="9000",
        memory__memory_dot_usage_in_bytes="9500",
        cpu__cpu_dot_cfs_quota_us="200000",
        cpu__cpu_dot_cfs_period_us="100000",
    )
    assert runtime.available_memory().ram == 0  # over its limit, not below nothing
    assert runtime.cpu_count() == 2


def test_without_control_groups_the_machine_counts(control_groups):
    assert runtime.available_memory() == runtime.Memory(ram=64_000, gpu=None)
    assert runtime.cpu_count() == 16


def test_gpu_memory_is_asked_of_the_device_named(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {"cuda:1": (123, 456)}[device])
    assert runtime.available_memory("cuda:1").gpu == 123
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert runtime.available_memory("cuda").gpu == runtime.ZERO_GPU_BYTES


def test_this_machine_has_something():
    assert runtime.available_memory().ram > 0
    assert runtime.cpu_count() >= 1
