"""The training loop: epochs of augmented batches, validation, best and last, early stop, resume."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.backends.torch import choose_device
from vidcam.errors import SourceError, VidcamError
from vidcam.machine import cores
from vidcam.models.checkpoint import Checkpoint, save_checkpoint
from vidcam.training.batches import (
    Key,
    Loader,
    Pictures,
    evaluation_keys,
    readers_watched,
    training_keys,
)
from vidcam.training.logistic import Labels, Score, score
from vidcam.training.sides import Sides
from vidcam.training.start import Start, freeze
from vidcam.training.state import Row, RunFolder, State, plain_options
from vidcam.training.train_options import TrainOptions
from vidcam.training.unknown import Learnt, fit_unknown

log = logging.getLogger("vidcam")

USUAL_AUGMENT = "standard"
MOST_WORKERS = 8
RATES = {"sgd": (0.01, 0.01), "adam": (1e-3, 3e-4), "adamw": (1e-3, 3e-4)}


@dataclass(frozen=True)
class Progressed:
    """Where a run is: epochs count from 1; loss and accuracy are the epoch's so far.

    `validation` is the accuracy on the validation pictures, at an epoch's end alone.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    validation: float | None = None


Watch = Callable[[Progressed], None]


def rate_factor(options: TrainOptions, epoch: int) -> float:
    """What the learning rate is multiplied by in an epoch, from 0.

    It depends on the epoch and on how many there will be alone.
    """
    if options.scheduler == "cosine":
        return 0.5 * (1 + math.cos(math.pi * epoch / options.epochs))
    if options.scheduler == "step":
        return float(options.gamma ** (epoch // options.step_size))
    return 1.0


class Loop:
    """One run; `stop` from a signal ends it before its next batch."""

    def __init__(
        self, start: Start, sides: Sides, options: TrainOptions, folder: RunFolder, watch: Watch
    ) -> None:
        self._start, self._sides, self._options = start, sides, options
        self._folder, self._watch = folder, watch
        self.device = choose_device(options.device)
        self._held = freeze(start.net, start.freeze)
        self._net = start.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = self._made_optimizer()
        preset = start.preset
        self._mean = torch.tensor(preset.mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(preset.std, device=self.device).view(1, 3, 1, 1)
        precision = options.precision
        if precision == "auto":
            precision = "bf16" if self.device.startswith("cuda") else "f32"
        self.precision = precision
        self._error: BaseException | None = None
        self.epoch = 0  # how many are done
        self.ended_early = False
        self.rows: list[Row] = []
        self.best: dict[str, float] = {}
        self.unread: dict[str, str] = {}

    def stop(self, error: BaseException | None = None) -> None:
        """End before the next batch, with `error`."""
        self._error = error or VidcamError("stopped")

    def check(self) -> None:
        """Raise the error of `stop`, if it was called."""
        if self._error is not None:
            raise self._error

    def load(self, state: State) -> None:
        """Go on where a state was kept."""
        self._net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if self.device.startswith("cuda") and state.get("random_cuda") is not None:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        self.epoch, self.best = int(state["epoch"]), dict(state["best"])
        self.rows = [dict(row) for row in state["rows"]]
        self.ended_early = False

    def save(self, done: bool) -> None:
        """Keep all that is needed to go on from the end of this epoch. Raises OutputError."""
        on_cuda = self.device.startswith("cuda")
        self._folder.save_state({
            "kind": "loop", "options": plain_options(self._options), "done": done,
            "start": self._start.record(), "labels": list(self._sides.labels),
            "digest": self._sides.digest, "net": self._net.state_dict(),
            "optimizer": self._optimizer.state_dict(), "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if on_cuda else None,
            "epoch": self.epoch, "best": self.best, "rows": [dict(row) for row in self.rows],
        })  # fmt: skip

    def __call__(self) -> None:
        """Train to the end. Raises VidcamError: an interruption, a loss that is no number."""
        options = self._options
        workers = options.workers
        if workers is None:
            workers = 0 if self.device == "cpu" else min(MOST_WORKERS, cores())
        pictures = Pictures(
            self._sides.train, self._sides.val, self._start.geometry,
            options.augment or USUAL_AUGMENT, options.seed,
        )  # fmt: skip
        loader = Loader(pictures, workers)
        try:
            if not self.epoch:
                self.save(done=False)
            with readers_watched():
                while self.epoch < options.epochs and not self.ended_early:
                    self._run_epoch(loader)
        finally:
            loader.close()

    def _run_epoch(self, loader: Loader) -> None:
        begin_s = time.perf_counter()
        lr = self._rate * rate_factor(self._options, self.epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        learnt = self._learn(loader)
        logits, labels = self._validate(loader)
        reached = score(logits, labels)
        if not math.isfinite(reached.loss):
            raise self._no_number("validation")
        self.epoch += 1
        self.rows.append({
            "epoch": self.epoch, "lr": lr, "train_loss": learnt.loss,
            "train_accuracy": learnt.accuracy, "val_loss": reached.loss,
            "val_accuracy": reached.accuracy, "seconds": round(time.perf_counter() - begin_s, 3),
        })  # fmt: skip
        self._save_checkpoints(reached, logits, labels)
        since = self.epoch - int(self.best["epoch"])
        self.ended_early = 0 < self._options.patience <= since
        self._folder.save_log(self.rows)
        self.save(done=self.ended_early or self.epoch >= self._options.epochs)
        self._watch(Progressed(
            self.epoch, self._options.epochs, 0, 0, learnt.loss, learnt.accuracy, reached.accuracy
        ))  # fmt: skip

    def _save_checkpoints(
        self, reached: Score, logits: NDArray[np.float32], labels: Labels
    ) -> None:
        metrics: dict[str, float] = {
            "val_top1": reached.accuracy, "val_loss": reached.loss, "val_n": len(labels),
            "epoch": self.epoch,
        }  # fmt: skip
        checkpoint = finished(self._start, self._sides.labels, metrics, logits, labels)
        best = self.best
        now = (reached.accuracy, -reached.loss)
        save_checkpoint(self._folder.last, checkpoint)
        if not best or now > (best["val_top1"], -best["val_loss"]):
            self.best = metrics
            self._folder.keep_last_as_best()

    def _learn(self, loader: Loader) -> Score:
        """One epoch over the training pictures; mean loss and accuracy as they were met."""
        options = self._options
        labels_of_all = [sample.label for sample in self._sides.train]
        keys = training_keys(
            labels_of_all, options.batch, self.epoch, options.seed, options.balance
        )
        self._net.train()
        for module in self._held:
            module.eval()
        total, right, seen, lone = 0.0, 0, 0, False
        for number, (pixels, labels) in enumerate(self._batches(loader, keys), 1):
            if len(labels) > 1 or len(keys) == 1:
                with self._autocast():
                    logits = self._net(pixels)
                loss = nn.functional.cross_entropy(
                    logits.float(), labels, label_smoothing=options.label_smoothing
                )
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise self._no_number(f"batch {number}")
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                total += value * len(labels)
                right += int((logits.argmax(1) == labels).sum())
                seen += len(labels)
            else:
                lone = True  # BatchNorm needs two
            self._watch(Progressed(
                self.epoch + 1, options.epochs, number, len(keys),
                total / max(1, seen), right / max(1, seen),
            ))  # fmt: skip
        if not seen:
            wanted = "two training pictures" if lone else "a training picture"
            raise SourceError(
                f"no batch held {wanted} that can be read; vidcam data check says why"
            )
        return Score(total / seen, right / seen)

    def _validate(self, loader: Loader) -> tuple[NDArray[np.float32], Labels]:
        """Logits (N, K) and labels (N,) of the validation pictures that can be read, in f32."""
        self._net.eval()
        found, truth = [], []
        with torch.no_grad():
            keys = evaluation_keys(len(self._sides.val), self._options.batch)
            for pixels, labels in self._batches(loader, keys):
                found.append(self._net(pixels).float().cpu().numpy())
                truth.append(labels.cpu().numpy())
        if not found:
            raise SourceError("no validation picture could be read; vidcam data check says why")
        return np.concatenate(found), np.concatenate(truth)

    def _batches(self, loader: Loader, keys: list[Key]) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised pixels and labels of the batches that hold a picture, on the device."""
        # Closed before an error travels on: what it kept alive would keep the processes.
        with closing(loader(keys)) as batches:
            for batch in batches:
                self.check()
                self.unread.update(batch.unread)
                if len(batch.labels):
                    pixels = torch.from_numpy(batch.pixels).to(self.device).permute(0, 3, 1, 2)
                    yield (
                        (pixels.float() - self._mean) / self._std,
                        torch.from_numpy(batch.labels).to(self.device),
                    )

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "f32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)

    def _made_optimizer(self) -> torch.optim.Optimizer:
        options = self._options
        asked, decay = options.rates
        self._rate = asked or RATES[options.optimizer][self._start.has_learnt]
        learning = [one for one in self._net.parameters() if one.requires_grad]
        if options.optimizer == "sgd":
            return torch.optim.SGD(
                learning, self._rate, momentum=options.momentum, weight_decay=decay
            )
        kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
        return kind(learning, self._rate, weight_decay=decay)

    def _no_number(self, where: str) -> VidcamError:
        kept = f"best.pt is of epoch {self.best['epoch']:.0f}" if self.best else "nothing was kept"
        return VidcamError(
            f"the loss is no number in epoch {self.epoch + 1}, {where}; {kept}; "
            f"a smaller --lr than {self._rate:g} may help"
        )


def finished(
    start: Start, labels: tuple[str, ...], metrics: dict[str, float],
    logits: NDArray[np.float32], truth: Labels, learnt: Learnt | None = None,
) -> Checkpoint:  # fmt: skip
    """A checkpoint of the network as it is, with what unknown means to it."""
    unknown = fit_unknown(logits, truth, learnt=learnt)
    return replace(
        start.checkpoint(labels, start.net.state_dict(), metrics),
        temperature=unknown.temperature, thresholds=tuple(unknown.thresholds.tolist()),
        neighbours=unknown.neighbours,
    )  # fmt: skip
