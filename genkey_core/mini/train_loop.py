"""What every training stage of the mini models shares: a time budget, a cosine to its end, resuming, averaging."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SAVE_EVERY_S = 60.0  # the most that a killed run loses


@dataclass
class Budget:
    """How long a stage may train, over all of its sessions; the learning rate follows the share that is used up."""

    minutes: float
    spent_s: float = 0.0
    step: int = 0
    _started: float = field(default_factory=time.monotonic)

    def tick(self) -> None:
        """Counts one finished step and the time since the last."""
        now = time.monotonic()
        self.spent_s, self._started, self.step = self.spent_s + now - self._started, now, self.step + 1

    def pause(self) -> None:
        """Leaves the time since the last tick out (previews, saving)."""
        self._started = time.monotonic()

    @property
    def fraction(self) -> float:
        return min(self.spent_s / (60 * self.minutes), 1.0)

    def rate(self, peak: float, *, warmup: int = 40) -> float:
        """Linear warm-up over `warmup` steps, then a cosine that reaches 2 % of `peak` at the planned end."""
        return peak * min(1.0, (self.step + 1) / warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * self.fraction)))


class Session:
    """A model in training with its optimizer, averaged weights and budget, kept in one file between runs.

    `half` True computes in bfloat16 throughout, on a copy (`worker`) of the float32 weights that the optimizer keeps;
    on processors with bfloat16 units that takes half the time of autocasting, which converts each weight at each use.
    """

    def __init__(self, model: torch.nn.Module, file: Path, *, minutes: float, peak_rate: float, average: float,
                 half: bool = False):  # fmt: skip
        import torch

        self.model, self.file, self.peak_rate, self.average = model, file, peak_rate, average
        self._align()
        self.optimizer = torch.optim.AdamW(
            model.parameters(), peak_rate, betas=(0.9, 0.99), weight_decay=0.01, foreach=True
        )
        self.averaged = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.worker = copy.deepcopy(model).bfloat16() if half else model
        self.budget = Budget(minutes)
        self._saved = time.monotonic()

    def restart_average(self) -> None:
        """Forgets the average so far: the weights have been re-expressed (by the first process, for all)."""
        self._align()
        self.averaged = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def _align(self) -> None:
        """Gives every process the first one's weights."""
        from torch import distributed

        if distributed.is_initialized():
            for value in self.model.state_dict().values():
                distributed.broadcast(value, 0)

    def resume(self) -> bool:
        """Takes up the run kept in `file`; False where there is none."""
        import torch

        if not self.file.exists():
            return False
        kept = torch.load(self.file, weights_only=True, map_location=next(self.model.parameters()).device)
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        for name, value in kept["averaged"].items():
            self.averaged[name].copy_(value)
        self.budget.spent_s, self.budget.step = kept["spent_s"], kept["step"]
        self.budget.pause()
        self._hand_down()
        return True

    def save(self) -> None:
        """Writes everything beside `file`, then takes its place; the first process alone does it."""
        import torch

        if rank():
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "averaged": self.averaged,
                "spent_s": self.budget.spent_s,
                "step": self.budget.step,
            },
            part,
        )
        part.replace(self.file)
        self._saved = time.monotonic()
        self.budget.pause()

    def steps(self) -> Iterator[int]:
        """Step numbers until the budget is used up, saving now and then and at the end."""
        self.budget.pause()
        while self.budget.fraction < 1.0:
            yield self.budget.step
            if time.monotonic() - self._saved > SAVE_EVERY_S:
                self.save()
        self.save()

    def descend(self, loss: torch.Tensor) -> None:
        """One optimizer step on `loss`, then the average of the weights."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = self.budget.rate(self.peak_rate)
        loss.backward()
        if self.worker is not self.model:
            for kept, used in zip(self.model.parameters(), self.worker.parameters(), strict=True):
                kept.grad, used.grad = (None if used.grad is None else used.grad.float()), None
        self._share()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._hand_down()
        keep = min(self.average, (1 + self.budget.step) / (10 + self.budget.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.averaged[name].lerp_(value, 1 - keep)
        self.budget.tick()
        self._agree_on_time()

    def _hand_down(self) -> None:
        """Copies the kept weights into the working copy."""
        import torch

        if self.worker is not self.model:
            with torch.no_grad():
                for kept, used in zip(self.model.parameters(), self.worker.parameters(), strict=True):
                    used.copy_(kept)

    def _share(self) -> None:
        """Averages gradients over all processes (`torchrun`); each has drawn its own batch."""
        import torch
        from torch import distributed

        if not distributed.is_initialized():
            return
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients]) / distributed.get_world_size()
        distributed.all_reduce(flat)
        for gradient, shared in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(shared.view_as(gradient))

    def _agree_on_time(self) -> None:
        """The first process's clock counts for all: learning rates and the end of the run must be the same."""
        import torch
        from torch import distributed

        if distributed.is_initialized():
            spent = torch.tensor(self.budget.spent_s, dtype=torch.float64)
            distributed.broadcast(spent, 0)
            self.budget.spent_s = spent.item()


def rank() -> int:
    """This process's number among those that train together; 0 where there is one."""
    from torch import distributed

    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_initialized() else 1


class Log:
    """Means of what a stage reports, printed and appended to a file as one JSON line every `every` steps."""

    def __init__(self, file: Path, *, every: int = 25):
        self.file, self.every, self._sums, self._since = file, every, {}, time.monotonic()
        file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, session: Session, **values: float) -> None:
        for name, value in values.items():
            self._sums.setdefault(name, []).append(float(value))
        if session.budget.step % self.every or rank():
            return
        line = {name: round(sum(v) / len(v), 5) for name, v in self._sums.items()}
        line |= {"step": session.budget.step, "minutes": round(session.budget.spent_s / 60, 2)}
        line["s_per_step"] = round((time.monotonic() - self._since) / self.every, 3)
        text = json.dumps(line)
        print(self.file.stem, text, flush=True)
        with self.file.open("a") as out:
            out.write(text + "\n")
        self._sums, self._since = {}, time.monotonic()
