"""The benchmark of duration-aware sampling: true gaps, batches that are the engine's clips, words that follow figures."""

import numpy as np
import pytest
from test_bench_variants import checkpoint  # noqa: F401, a fixture

from benchmarks import inbetween_duration as bench
from genkey_core.inbetween.duration import Plan
from genkey_core.inbetween.engines import Needs
from genkey_core.inbetween.learned import Learned, Shape
from genkey_core.inbetween.sampling import SamplingOptions
from genkey_core.inbetween.settings import Settings
from genkey_core.mini.motion_world import make_clip


def test_a_case_is_a_cut_of_the_true_motion():
    short, whole, long = (case.cut(9_000_003, 64) for case in bench.CASES)
    assert [len(c.images) for c in (short, whole, long)] == [4, 13, 37]
    assert np.array_equal(short.images, whole.images[:4])
    assert np.allclose(long.path[::3], whole.path, atol=0.3)
    assert np.array_equal(whole.images[[0, -1]], make_clip(9_000_003).images[[0, -1]])


def test_plans_make_short_gaps_cheaper_and_chain_some_long_ones():
    counts = range(4, 9)
    gaps = {case.name: [case.cut(s, 64) for s in range(9_000_000, 9_000_012)] for case in bench.CASES}
    cost = {name: sum(p.sampled_frames(8) for p in bench.plans(g, bench.AWARE, counts)) for name, g in gaps.items()}
    short, whole, long = (cost[case.name] for case in bench.CASES)
    assert short < whole <= long
    assert short == 12 * 4
    assert bench.plans(gaps["whole, long"], bench.FIXED, counts) == [Plan(1, 8)] * 12


def test_batches_make_what_the_engine_makes(checkpoint):  # noqa: F811
    """Chained and single plans in one call, against `Learned` with the same plan, gap by gap."""
    from benchmarks.batched_sampling import inbetween_batch

    options = SamplingOptions(steps=2, recurrence=0)
    models = bench.Models(checkpoint, device="cpu", half=False, batch=8)
    gaps = [make_clip(seed, frames=5, size=16) for seed in (21, 22, 23)]
    made_by = [Plan(2, 4), Plan(1, 4), Plan(3, 3)]
    usual = models.video.native_frames
    clips = bench.make_planned(models, gaps, made_by, usual, options)
    assert [len(c) for c in clips] == [p.native_frames for p in made_by]

    class Native:
        """The model as the engine asks for it; keeps the clips it made."""

        name = "tiny"

        def __init__(self):
            self.made = []

        def native(self, start, end, *, n_frames, seed):
            n_frames = n_frames or usual
            sampled = inbetween_batch(models.video, [start], [end], options=options, seeds=[seed],
                                      delta=models.delta("dual"), n_frames=n_frames)  # fmt: skip
            self.made.append(sampled[0])
            yield sampled[0]

        def needs(self, *_):
            return Needs(evaluations=1, evaluation_s=0.0)

    for gap, p, clip in zip(gaps, made_by, clips, strict=True):
        native = Native()
        shape = Shape(p.segments, p.frames_per_segment)
        engine = Learned(native, Settings(seed=gap.seed), shaper=lambda *_, shape=shape: shape)
        assert len(list(engine.between(gap.images[0], gap.images[-1], np.array([0.5])))) == 1
        first, *rest = native.made if p.segments == 1 else native.made[1:]
        own = np.concatenate([first, *(part[1:] for part in rest)])
        assert own.shape == clip.shape
        assert np.abs(own.astype(int) - clip).max() <= 1


def test_the_command_writes_its_page_and_goes_on(checkpoint, tmp_path, capsys):  # noqa: F811
    arguments = ["--model", str(checkpoint), "--clips", "2", "--batch", "2", "--steps", "1", "--recurrence", "0",
                 "--threads", "1", "--out", str(tmp_path / "out"), "--report", str(tmp_path / "page.md")]  # fmt: skip
    bench.main(arguments)
    page = (tmp_path / "page.md").read_text()
    for case in bench.CASES:
        assert f"| {case.name}: full length |" in page
        assert f"- {case.name}: duration-aware denoises" in page
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.npz")}
    bench.main(arguments)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.npz")} == before
    assert (tmp_path / "page.md").read_text() == page
    with pytest.raises(SystemExit, match="counts: the largest"):
        bench.main([*arguments, "--counts", "3", "99"])


def test_the_words_follow_the_figures():
    def records(shift: float) -> list[dict]:
        rng = np.random.default_rng(0)
        made = []
        for case in bench.CASES:
            for seed in range(30):
                error = rng.uniform(1, 4)
                for policy, path_px, cost in (
                    (bench.FIXED, error, 8),
                    (bench.AWARE, error + shift + rng.normal(0, 0.1), 4),
                ):
                    made.append({"case": case.name, "method": policy, "seed": seed, "path_px": path_px, "cost": cost,
                                 "segments": 1})  # fmt: skip
        return made

    assert all("path error is larger" in line for line in bench.findings(records(0.5)))
    assert all("path error is smaller" in line for line in bench.findings(records(-0.5)))
    assert all("not shown to differ" in line for line in bench.findings(records(0.0)))
    assert all("denoises 0.50 times" in line for line in bench.findings(records(0.0)))
