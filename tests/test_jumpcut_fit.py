"""Fit to this video: it learns, stops, goes on as it would have, and leaves a network that the learned engine reads."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from tiny_jumpcut import FPS, N_FRAMES, TINY, presenter_files, tiny_model  # noqa: E402

from genkey_core import InputError  # noqa: E402
from genkey_core.jumpcut import fitting, learned, networks  # noqa: E402
from genkey_core.jumpcut.bodymap import BodyFile  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    video, body = presenter_files(tmp_path_factory.mktemp("fit"))
    return video, BodyFile(body, n_frames=N_FRAMES, fps=FPS)


def fit(files, folder, **options):
    video, body = files
    kind = {"n_frames": N_FRAMES, "fps": FPS, "config": TINY, "base": None, **options}
    return fitting.fit(video, body, folder, **kind)


def weights(folder) -> torch.Tensor:
    return torch.cat([value.flatten() for value in networks.load(folder).state_dict().values()])


@pytest.fixture
def tenth_steps(monkeypatch):
    """A clock that moves by a tenth of a minute every second time that it is read, so that a fit takes exact steps."""
    now = iter(np.arange(0, 10**6) * 3.0)
    monkeypatch.setattr(fitting.time, "monotonic", lambda: float(next(now)))


def test_a_fit_tells_its_progress_and_leaves_a_network_that_is_read(files, tmp_path):
    *told, last = fit(files, tmp_path / "fit", minutes=0.05)
    assert isinstance(last, fitting.Fitted)
    assert last.complete
    assert last.steps > 0
    shares = [step.share for step in told]
    assert shares == sorted(shares)
    assert told[-1].preview.shape == (32, 64, 3)
    assert np.isfinite(told[-1].loss)
    engine = learned.fitted(files[1], last.folder)
    assert engine.network().config == TINY
    assert not torch.equal(weights(last.folder), weights(tiny_model(tmp_path / "fresh")))


def test_fitting_lowers_the_error_on_its_own_clip(files, tmp_path, tenth_steps):
    *told, last = fit(files, tmp_path / "fit", minutes=6)
    losses = [step.loss for step in told if step.loss is not None]
    assert last.steps > 40
    assert np.mean(losses[-4:]) < 0.85 * np.mean(losses[:2])


def test_a_stopped_fit_goes_on_where_it_was(files, tmp_path, tenth_steps):
    *_, whole = fit(files, tmp_path / "whole", minutes=1.0)
    running = fit(files, tmp_path / "parts", minutes=1.0)
    for step in running:
        if step.steps >= 3:
            break
    running.close()
    stopped = json.loads((tmp_path / "parts" / "fit.json").read_text())
    assert stopped["seed"] == 0
    assert weights(tmp_path / "parts").isfinite().all()  # a network is there already
    *_, last = fit(files, tmp_path / "parts", minutes=1.0)
    assert last.steps == whole.steps > 4
    assert last.spent_s == pytest.approx(whole.spent_s, abs=6.1)


def test_a_fit_of_another_network_and_nobody_in_the_map_are_sentences(files, tmp_path):
    list(fit(files, tmp_path / "fit", minutes=0.01))
    with pytest.raises(InputError, match="holds a fit with other settings"):
        list(fit(files, tmp_path / "fit", minutes=0.01, seed=4))
    np.savez(tmp_path / "empty.npz", iuv=np.zeros((N_FRAMES, 8, 8, 3), np.uint8))
    nobody = BodyFile(tmp_path / "empty.npz", n_frames=N_FRAMES, fps=FPS)
    with pytest.raises(InputError, match="nobody's head"):
        list(fit((files[0], nobody), tmp_path / "none", minutes=0.01))
    for options, says in (({"minutes": 0}, "minutes"), ({"minutes": float("nan")}, "minutes"),
                          ({"minutes": 1, "size": 100, "config": None}, "size: one of 128, 256")):  # fmt: skip
        with pytest.raises(InputError, match=says):
            list(fit(files, tmp_path / "none", **options))


def test_a_fit_that_breaks_down_keeps_the_state_before(files, tmp_path, monkeypatch):
    list(fit(files, tmp_path / "fit", minutes=0.01))
    before = (tmp_path / "fit" / "fit.pt").read_bytes()

    def broken(self, batch, **options):
        raise InputError("training: a loss is not a number at step 2; lower the learning rate.")

    monkeypatch.setattr("genkey_core.jumpcut.train.Trainer.step", broken)
    with pytest.raises(InputError, match="not a number"):
        list(fit(files, tmp_path / "fit", minutes=0.5))
    assert (tmp_path / "fit" / "fit.pt").read_bytes() == before


def test_the_bundled_weights_are_where_a_fit_begins(files, tmp_path):
    model = tiny_model(tmp_path / "base")
    assert torch.equal(
        torch.cat([v.flatten() for v in fitting._network(128, model, TINY, 36, 9).state_dict().values()]),
        weights(model),
    )


def test_a_fitted_network_travels_as_one_file(files, tmp_path):
    *_, last = fit(files, tmp_path / "fit", minutes=0.01)
    file = tmp_path / "down.safetensors"
    shutil.copy(last.folder / "model.safetensors", file)
    again = fitting.unpacked(file, tmp_path / "up")
    assert torch.equal(weights(again), weights(last.folder))
    for words, says in ((b"only words", "is not one of this tool's"), (b"", "is not one of this tool's")):
        file.write_bytes(words)
        with pytest.raises(InputError, match=says):
            fitting.unpacked(file, tmp_path / "bad")
    networks.save(networks.build(TINY), tmp_path / "odd", notes={"config": json.dumps({"mapping": 10**9})})
    with pytest.raises(InputError, match="deeper than any"):
        fitting.unpacked(tmp_path / "odd" / "model.safetensors", tmp_path / "bad")
