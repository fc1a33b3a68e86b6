"""What `vidcam image -o` writes of all pictures: predictions.csv and predictions.json."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from vidcam.pictures.predictor import Predicted
from vidcam.sinks.records import record_file

CSV_NAME, JSON_NAME = "predictions.csv", "predictions.json"
CSV_HEADER = ("file", "rank", "index", "label", "label_en", "score")
# None ends the file.
Written = Callable[[Predicted | None], None]


@contextmanager
def prediction_files(folder: Path, overwrite: bool) -> Iterator[Callable[[Predicted], None]]:
    """Writes predictions into both files, which get their names when the block ends well.

    An interruption leaves whole records under the partial names. Raises UsageError or OutputError.
    """
    csv_path, json_path = str(folder / CSV_NAME), str(folder / JSON_NAME)
    with (
        record_file(csv_path, _csv_rows, overwrite, "utf-8-sig") as write_rows,
        record_file(json_path, _json_list, overwrite) as write_json,
    ):

        def write(predicted: Predicted) -> None:
            write_rows(predicted)
            write_json(predicted)

        try:
            yield write
        except KeyboardInterrupt:
            write_json(None)
            raise
        write_json(None)


def record(predicted: Predicted) -> dict[str, Any]:
    """A prediction in the form of predictions.json."""
    prediction = predicted.prediction
    return {
        "file": predicted.name,
        "topk": [score.as_record() for score in prediction.topk],
        "shown": [score.as_record() for score in prediction.shown],
    }


def _csv_rows(stream: TextIO) -> Written:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)

    def write(predicted: Predicted | None) -> None:
        if predicted is not None:
            for rank, score in enumerate(predicted.prediction.topk, 1):
                writer.writerow((predicted.name, rank, *score.as_record().values()))

    return write


def _json_list(stream: TextIO) -> Written:
    lead = "[\n"

    def write(predicted: Predicted | None) -> None:
        nonlocal lead
        if predicted is None:
            stream.write("\n]\n" if lead != "[\n" else "[]\n")
            return
        stream.write(lead + json.dumps(record(predicted), ensure_ascii=False))
        lead = ",\n"

    return write
