"""The ablation of chapter 6: measures on planted stacks, a judge that learns, every method on a tiny model, the page."""

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
from tiny_pixel import save_if

from benchmarks import scale_classifier, zoom_ablation, zoom_ablation_report, zoom_scores
from genkey_core.media import to_uint8
from genkey_core.mini.scale_captions import COLOURS, KINDS
from genkey_core.mini.scale_set import SceneSet, render
from genkey_core.runtime import torch_generator
from genkey_core.zoom.blend import expand
from genkey_core.zoom.sampling import VARIANTS
from genkey_core.zoom.stack import render_images

FACTS = zoom_ablation_report.Facts("0123456789abcdef", 3, 2, 4.0, "float32", "90.0 % on 10 held-out scenes")


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch_generator(seed))


def smooth(n, size, seed=0):
    return expand(noise(n, 3, size // 8, size // 8, seed=seed), size, size, 8).clamp(-3, 3) / 3


def agreeing(n=4, size=64, p=2):
    """One scene seen at every level: a field of waves about the middle."""
    at = (torch.arange(size) + 0.5 - size / 2) / size
    levels = [torch.sin(9 * at * p**-i + 1)[None] * torch.cos(7 * at * p**-i)[:, None] for i in range(n)]
    return render_images(torch.stack(levels)[:, None].repeat(1, 3, 1, 1), p)


# --- measures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [2, 4])
def test_what_a_stack_shows_agrees_and_levels_of_their_own_do_not(p):
    together, apart = to_uint8(render_images(smooth(4, 64), p)), to_uint8(smooth(4, 64))
    assert zoom_scores.consistency_db(together, p) > 45
    assert zoom_scores.consistency_db(apart, p) < 20


@pytest.mark.parametrize("p", [2, 4])
def test_a_seam_is_seen_where_levels_do_not_belong_together(p):
    assert zoom_scores.seam(to_uint8(agreeing(p=p)), p) < 1.3
    assert zoom_scores.seam(to_uint8(smooth(4, 64)), p) > 2.5


def test_detail_is_that_of_a_levels_own_pixels():
    sharp, soft = noise(3, 3, 32, 32) / 4, smooth(3, 32) / 4
    mixed = soft.clone()
    mixed[:, :, 8:24, 8:24] = sharp[:, :, 8:24, 8:24]  # detail in the middle alone is the next level's
    own = [zoom_scores.own_detail(to_uint8(x), 2) for x in (sharp, soft, mixed)]
    assert own[0][0] > 3 * own[1][0]
    assert own[2][0] - own[1][0] < 0.5 * (own[0][0] - own[1][0])
    assert own[2][1] > 0.4 * own[0][1]  # of the deepest level all pixels are its own


# --- the judge ------------------------------------------------------------------------------------------------------


def test_the_judge_learns_what_it_is_shown_and_is_kept(tmp_path):
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 150)
    images = (60 + 60 * kinds[:, None, None, None] + rng.integers(0, 30, (150, 64, 64, 3))).astype(np.uint8)
    scenes = SceneSet(images, np.stack([kinds, 0 * kinds, 0 * kinds], 1).astype(np.int16))
    judge = scale_classifier.train(scenes, epochs=6)
    right = scale_classifier.ask(judge, images).right(scale_classifier.words_of(scenes))
    assert right[:, 0].mean() > 0.9
    again = scale_classifier.train(scenes, epochs=6)
    assert all(torch.equal(a, b) for a, b in zip(judge.parameters(), again.parameters(), strict=True))


def test_a_judge_is_trained_once_and_says_how_good_it_is(tmp_path):
    seeds = {"train_seeds": range(0, 12), "held_out": range(900_000, 900_006), "epochs": 1}
    judge, said = scale_classifier.kept(tmp_path, **seeds)
    again, said_again = scale_classifier.kept(tmp_path, **seeds)
    assert said == said_again
    assert "on 6 held-out scenes" in said
    pictures = render(range(0, 4)).images
    assert np.array_equal(scale_classifier.ask(judge, pictures).kind, scale_classifier.ask(again, pictures).kind)


def test_what_a_judge_says_is_right_by_kind_and_by_all_words():
    said = scale_classifier.Said(np.array([KINDS.index("leaf")] * 2), np.array([3, 0]), np.array([0, 0]))
    right = said.right([("leaf", "green", "photo")] * 2)
    assert right.tolist() == [[True, True], [True, False]]


# --- the methods ----------------------------------------------------------------------------------------------------


def test_a_stacks_words_are_neighbours_and_keep_their_colour():
    for seed in range(30):
        stack = zoom_ablation.stack_of(seed, 4)
        kinds = [kind for kind, _, _ in stack.words]
        assert [KINDS.index(kind) - KINDS.index(kinds[0]) for kind in kinds] == [0, 1, 2, 3]
        assert len({style for _, _, style in stack.words}) == 1
        for (_, before, _), (kind, colour, _) in zip(stack.words, stack.words[1:], strict=False):
            assert colour == before or before not in COLOURS[kind]
        assert stack.p == (2, 4)[seed % 2]
        assert stack == zoom_ablation.stack_of(seed, 4)


def test_every_method_is_made_once_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    model, folder = save_if(tmp_path / "if"), tmp_path / "made"
    stacks = [zoom_ablation.stack_of(seed, 3) for seed in range(2)]
    zoom_ablation.run(folder, stacks[:1], model=model, steps=2, half=True)
    (folder / "000-joint.npz").unlink()
    made = []
    save = zoom_ablation.save
    monkeypatch.setattr(zoom_ablation, "save", lambda file, one: (made.append(file.stem), save(file, one)))
    zoom_ablation.run(folder, stacks, model=model, steps=2, half=True)
    assert made[0] == "000-joint"
    assert len(made) == 1 + len(zoom_ablation.METHODS)
    judge = scale_classifier.train(render(range(0, 10)), epochs=1)
    records, pictures = zoom_ablation.records_of(folder, stacks, judge)
    assert len(records) == 2 * (len(zoom_ablation.METHODS) + 2)
    of = {(r["seed"], r["method"]): r for r in records}
    for seed in (0, 1):
        assert of[seed, "joint"]["shown_db"] > 40  # by construction, but for rounding
        assert of[seed, "outpainting"]["shown_db"] > 40
        assert of[seed, "independent"]["shown_db"] < of[seed, "joint"]["shown_db"]
        assert np.array_equal(pictures[seed, "outpainting"][-1], pictures[seed, "independent"][-1])
        assert np.array_equal(pictures[seed, "super_resolution"][0], pictures[seed, "independent"][0])
    report = tmp_path / "page.md"
    zoom_ablation_report.write(report, records, pictures, {s.seed: s for s in stacks}, FACTS)
    assert "2 stacks of 3 levels" in report.read_text()
    assert 0 < report.with_suffix(".png").stat().st_size < 1_000_000


# --- the page -------------------------------------------------------------------------------------------------------


def planted(**better):
    """Records of 12 stacks in which every method is like joint but for what is said."""
    plain = {
        "shown_db": 60.0,
        "drawn_db": 30.0,
        "seam": 1.0,
        "detail": 8.0,
        "deepest_detail": 8.0,
        "kind": 0.8,
        "all_words": 0.5,
    }
    rng = np.random.default_rng(0)
    records = []
    for seed in range(12):
        for method in (*VARIANTS, *zoom_ablation.BASELINES):
            values = {k: v + better.get(method, {}).get(k, 0.0) + rng.normal(0, 0.01) for k, v in plain.items()}
            levels = better.get(method, {}).get("levels", [0.8, 0.8, 0.8])
            records.append({"seed": seed, "method": method, "p": 2, "kind_by_level": levels, **values})
    return records


def test_the_orderings_hold_where_they_were_planted():
    inconsistent = {"drawn_db": -10.0, "shown_db": -40.0, "seam": 2.0}
    records = planted(
        independent=inconsistent,
        iterative={"drawn_db": -5.0, "seam": 0.6},
        naive_blend={"drawn_db": -1.0, "deepest_detail": -3.0, "seam": 0.1},
        random_noise={"drawn_db": -1.0, "detail": -2.0, "seam": 0.1},
        outpainting={"levels": [0.2, 0.8, 0.8]},
        super_resolution={"levels": [0.8, 0.8, 0.1]},
    )
    lines = zoom_ablation_report.orderings(zoom_ablation_report.Table(records))
    assert len(lines) == 10
    assert all("**holds**" in line for line in lines), lines


def test_the_orderings_do_not_hold_where_the_contrary_was_planted():
    records = planted(
        independent={"drawn_db": 4.0, "detail": 3.0, "kind": 0.3},
        iterative={"drawn_db": 4.0, "seam": -0.4},
        naive_blend={"deepest_detail": 3.0},
        random_noise={"detail": 2.0},
        outpainting={"levels": [1.0, 0.8, 0.8]},
        super_resolution={"levels": [0.8, 0.8, 1.0]},
    )
    lines = zoom_ablation_report.orderings(zoom_ablation_report.Table(records))
    assert not any("**holds**" in line for line in lines), lines
    nothing = zoom_ablation_report.orderings(zoom_ablation_report.Table(planted()))
    assert sum("**is not shown**" in line for line in nothing) >= 5, nothing


def test_reasons_are_given_where_the_figures_give_them():
    def said(*, alike=None, **better):
        records = planted(**better)
        records += [{**r, "method": m} for r in records if r["method"] == "joint" for m in ("true", "true_nested")]
        return zoom_ablation_report.reasons(zoom_ablation_report.Table(records), alike)

    assert said(iterative={"drawn_db": -5.0}, naive_blend={"drawn_db": -5.0}) == []
    unfaithful = {"independent": {"kind": 0.15}}
    assert any("section 6.4" in line for line in said(**unfaithful))
    alike = zoom_ablation_report.Table(planted())
    tested = said(alike=alike, **unfaithful)[-1]
    assert "In 12 stacks" in tested
    assert "right kinds: joint 80 %" in tested


def test_stacks_of_one_kind_ask_for_it_at_every_level():
    stacks = [zoom_ablation.alike_stack(number, 4) for number in range(10)]
    assert len({stack.seed for stack in stacks}) == 10
    assert all(len(set(stack.words)) == 1 for stack in stacks)
    assert {stack.words[0][0] for stack in stacks} == set(zoom_ablation_report.ALIKE)
