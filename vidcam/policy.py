"""What `file` and `live` do differently: the one switch of the pipeline."""

from dataclasses import dataclass

AUTO_BATCH = 8


@dataclass(frozen=True, slots=True)
class Policy:
    """`wait_for_result`: complete and in step (`file`), or at the sources' rate (`live`).

    `batch` is the most pictures of one call of the network; every `every`th frame is classified.
    """

    wait_for_result: bool
    batch: int = AUTO_BATCH
    every: int = 1
