"""The Python side of `vidcam file`: load once, then stream or run any number of sources."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.backends import Batches, load_backend
from vidcam.classifier import Classifier
from vidcam.compositor import Compositor
from vidcam.drive import drive
from vidcam.errors import UsageError
from vidcam.feed import Feed, WholeReader
from vidcam.models import load_model
from vidcam.options import FileOptions, VideoOptions
from vidcam.pipeline import Pipeline
from vidcam.policy import AUTO_BATCH, Policy
from vidcam.prepare import Geometry
from vidcam.sinks import Sink
from vidcam.sources import Source, open_source
from vidcam.spec import from_mapping
from vidcam.station import Group, Station
from vidcam.stats import SourceStats
from vidcam.types import Result, RunStats

# Measured on real pictures shown as 16:9 frames: docs/fit.md.
VIDEO_FIT = "stretch"


class Session:
    """A loaded model with its engine and options."""

    def __init__(self, options: VideoOptions, policy: Policy | None = None) -> None:
        """Load the model; `policy` None is that of files, every frame in batches of 8.

        Raises UsageError, or SourceError when weights cannot be fetched.
        """
        self.options = options
        self.policy = policy or Policy(wait_for_result=True)
        self.model = load_model(options)
        # Live batches are as large as there are cameras with a new frame.
        most = self.policy.batch
        whole = self.policy.wait_for_result
        batches = Batches((most,) if whole else range(1, most + 1), in_turn=whole)
        self.backend = load_backend(self.model, options, options, batches)
        self.classifier = Classifier(self.model, self.backend, options, options)
        self.geometry = self.geometry_of(getattr(options, "roi", None) or None)
        # The first call of each shape builds the kernels: here, so that no frame waits for it.
        for size in batches.sizes:
            shape = (size, self.model.size, self.model.size, 3)
            self.classifier(np.zeros(shape, np.uint8), explain=True)

    @property
    def summary(self) -> str:
        """What runs, on what and how, in one line."""
        explains = f"{self.options.cam} of {self.backend.layer_name}"
        if self.options.cam == "none":
            explains = "no map"
        return (
            f"{self.model.name} on {self.backend.device} "
            f"({self.backend.name}, {self.backend.precision}), "
            f"{self.geometry.fit} fit, {explains}"
        )

    def geometry_of(self, roi: tuple[float, float, float, float] | None) -> Geometry:
        """How pictures become the network's square when only `roi` of them is seen."""
        fit = self.options.fit or self.model.fit or VIDEO_FIT
        return Geometry(self.model.size, fit, self.model.crop_share, roi)

    def results(self, source: Source) -> Iterator[Result]:
        """The result of every frame, in order; closes the source."""
        pipeline = self._pipeline(source)
        try:
            for given in pipeline:
                if given is not None and isinstance(given[1], Result):
                    yield given[1]
        finally:
            pipeline.close()

    def run(
        self,
        source: Source,
        sinks: Sequence[Sink],
        progress: Callable[[RunStats], None] | None = None,
        started: Callable[[Pipeline], None] | None = None,
    ) -> RunStats:
        """Explain a whole source into the sinks; closes source and sinks, whatever happens."""
        try:
            group = Group(Compositor(self.options), list(sinks))
            pipeline = self._pipeline(source)
        except BaseException as error:
            for sink in sinks:
                sink.close(error)
            source.close()
            raise
        if started:
            started(pipeline)
        return drive(pipeline, [Station(pipeline.feeds[0], [group])], progress)

    def _pipeline(self, source: Source) -> Pipeline:
        try:
            self.geometry.region(source.info.width, source.info.height)
        except BaseException:
            source.close()
            raise
        stats = SourceStats(source.info.name)
        feed = Feed(WholeReader(source), stats, self.geometry, self.classifier, self.options)
        return Pipeline([feed], self.classifier, self.options, self.policy)


def stream(source: str | Path, **options: Any) -> Iterator[Result]:
    """Iterate the results of a video, one a frame, in order.

        for result in vidcam.stream("clip.mp4", lang="en", topk=3):
            print(result.frame.time_s, result.prediction.topk[0].label)

    `source` is a path, an http(s) URL or `lavfi:GRAPH`; the keywords are the fields of
    `FileOptions`. `result.frame.picture` is an `av.VideoFrame` in yuv420p, `result.prediction.cam`
    the map (h, w) float32 in [0, 1] over the rectangle `result.prediction.crop` of the picture.
    Raises SourceError (exit code 3 of the command) and UsageError at the first step.
    """
    parsed: FileOptions = from_mapping(FileOptions, options.items())
    opened = open_source(str(source), parsed, audio=False)
    try:
        session = session_of(parsed)
    except BaseException:
        opened.close()
        raise
    yield from session.results(opened)


def run(
    source: str | Path | Source,
    sinks: str | Path | Sink | Sequence[str | Path | Sink],
    options: FileOptions | None = None,
    *,
    overwrite: bool = False,
) -> RunStats:
    """Explain `source` into one or more sinks: paths of video files, or Sink objects.

        stats = vidcam.run("clip.mp4", "out.mp4", vidcam.FileOptions(lang="ja", cam="layercam"))

    Returns the counts and times. Raises UsageError, SourceError, SourceLost or OutputError; no
    file is left under a final name then.
    """
    from vidcam.sinks.file import VideoFileSink

    options = options or FileOptions()
    _check_apart(source, sinks)
    given = sinks if isinstance(sinks, Sequence) and not isinstance(sinks, str) else [sinks]
    opened = source
    if isinstance(opened, str | Path):
        opened = open_source(str(opened), options, options.audio)
    targets: list[Sink] = []
    try:
        for sink in given:
            if isinstance(sink, str | Path):
                sink = VideoFileSink(sink, options, overwrite)
            targets.append(sink)
        session = session_of(options)
    except BaseException as error:
        for target in targets:
            target.close(error)
        opened.close()
        raise
    return session.run(opened, targets)


def session_of(options: FileOptions) -> Session:
    """A session for files. Raises what `Session` raises."""
    return Session(options, Policy(True, options.batch or AUTO_BATCH, options.stride))


def _check_apart(source: object, sinks: object) -> None:
    from vidcam.sinks.partial import partial_path

    if not isinstance(source, str | Path):
        return
    for sink in sinks if isinstance(sinks, list | tuple) else [sinks]:
        if isinstance(sink, str | Path):
            names = {Path(sink).resolve(), partial_path(Path(sink)).resolve()}
            if Path(source).resolve() in names:
                raise UsageError(f"{sink} would overwrite the input; write to another name")
