"""Many studies: every one whole or absent, whatever happens, and a table that says what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from ..files import expanded, require_text
from ..progress import CancelToken, ProgressCallback
from .attempt import Row, Task, row_of
from .engines import Engine, Serial
from .finished import finished
from .study import ALL, Output, Study
from .table import Table


def register_studies(
    studies: Mapping[str, Study],
    folder: str | Path,
    *,
    output: Output = ALL,
    engine: Engine | None = None,
    skip_finished: bool = False,
    retries: int = 1,
    threads: int | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    detail: bool = True,
    on_row: Callable[[Row], None] | None = None,
) -> Counter[str]:
    """Register every study into ``folder/<name>``, going on past those that fail, with a table ``folder/studies.csv``.

    The table gets a row as soon as a study has ended, and is in the order of ``studies`` at the end. All of it can be
    stopped at any moment and begun again, and several runs may write into one folder at once.

    Parameters
    ----------
    studies : name -> study; its values may be made as they are asked for.
    output : what is written of each.
    engine : where they are done; in this process without one.
    skip_finished : leave alone those whose results are there, of the same settings, weights and inputs.
    retries : how often a study is tried again after an error that is not that of its input.
    threads : with how many threads a study computes; the same number gives the same result to the last bit.
    shard : (i, n): only every n-th study, from the i-th on.
    detail : whether ``progress`` is told the steps of a study, too, as far as an engine knows of them.
    on_row : is told every row.

    Returns
    -------
    How many studies ended as "ok" (those left alone among them), "failed" and "cancelled".

    Raises
    ------
    OutputError : the table cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from DeepRegLogic import Study, register_studies, write_cine
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> for seed in (1, 2):
    ...     cine = cine_phantom(seed=seed, size=32, spacing=4.0, frames=3).cine
    ...     write_cine(f"beat-{seed}.seq.nrrd", cine.frames, cine)
    >>> studies = {name: Study(Path(f"{name}.seq.nrrd"), options={"refine": "fast"}) for name in ("beat-1", "beat-2")}
    >>> register_studies(studies, "cohort")["ok"]
    2
    """
    require_text(folder)
    folder, cancel = expanded(folder), cancel or CancelToken()
    table, counts = Table(folder), Counter[str]()
    first, step = shard
    total = max(1, len(range(first - 1, len(studies), step)))

    def ended(row: Row) -> None:
        table.add(row)
        counts[row["status"]] += 1
        if on_row is not None:
            on_row(row)
        if progress is not None:
            progress(counts.total() / total, f"{counts.total()} of {total} studies ({row['study']}: {row['status']})")

    def working(name: str, share: float, text: str) -> None:
        if progress is not None and detail:
            progress((counts.total() + share) / total, f"{name}: {text}")

    def tasks() -> Iterator[Task]:
        for name, study in islice(studies.items(), first - 1, None, step):
            if cancel.cancelled:
                return
            place = folder / name
            if skip_finished and (known := finished(study, output, place, thorough=False)) is not None:
                ended(row_of(name, known))
            else:
                yield Task(name, study, place, output, skip_finished, retries, threads)

    for row in (engine or Serial()).run(tasks(), working, cancel):
        ended(row)
    table.sort(studies)
    return counts
