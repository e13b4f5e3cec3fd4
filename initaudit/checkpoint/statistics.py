"""The statistics of stored arrays, in one visit and memory that does not depend on their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from initaudit.checkpoint import dtypes, kernels
from initaudit.checkpoint.dtypes import Codes
from initaudit.checkpoint.kernels import Summary
from initaudit.checkpoint.law import Sample, recognise
from initaudit.checkpoint.lines import Search
from initaudit.checkpoint.sampling import Sampler, histogram
from initaudit.checkpoint.stored import BITS, FLOATS, CheckpointError, Stored
from initaudit.network import Law, Lines, Site, Tensor, Unread

PIECE = 3 << 19
"""Bytes read at once: whole elements of every dtype (F6 packs four into three bytes)."""


def measure(stored: Stored, out_axis: int = 0, *, piece: int = PIECE) -> Tensor:
    """Return an array with its statistics.

    Those of C64 are over real and imaginary parts alike (mean, variance, extremes, histogram),
    but what is counted are elements: one is zero when both its parts are, NaN when a part is, and
    infinite or subnormal when a part is. Integers and bool have no NaN, infinite or subnormal
    elements, and no law. More than `lines.LIMIT` rows or columns are not compared: they are None.

    Args:
        stored: The array.
        out_axis: The axis of output units, along which rows lie.
        piece: Bytes to read at once.

    Raises:
        CheckpointError: If the bytes cannot be read.
    """
    return _measure(stored, out_axis, piece, lambda _: None)


def measure_all(
    arrays: Sequence[Stored],
    out_axis: Callable[[str, tuple[int, ...]], int],
    progress: Callable[[int], None] | None = None,
    threads: int = 1,
) -> tuple[list[Tensor], list[Unread]]:
    """Measure arrays; one that cannot be read is said and the others go on.

    Args:
        arrays: What to measure; the results are in its order.
        out_axis: Returns the axis of output units from a tensor's name and shape.
        progress: Called with how many bytes were just done, by any thread but one at a time.
        threads: Threads that work at the same time. The results do not depend on it. On two cores
            a second one was measured to cost 10 to 20% more processor time.
    """
    done = _one_at_a_time(progress)

    def one(stored: Stored) -> Tensor | Unread:
        try:
            axis = out_axis(stored.name, stored.shape)
            return _measure(stored, axis, PIECE, done)
        except CheckpointError as error:
            return Unread(Site(error.path, tensor=stored.name), error.reason)

    if threads <= 1 or len(arrays) <= 1:
        results = [one(stored) for stored in arrays]
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                results = list(pool.map(one, arrays))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    tensors = [result for result in results if isinstance(result, Tensor)]
    return tensors, [result for result in results if isinstance(result, Unread)]


def _one_at_a_time(progress: Callable[[int], None] | None) -> Callable[[int], None]:
    if progress is None:
        return lambda _: None
    lock = Lock()

    def advance(count: int) -> None:
        with lock:
            progress(count)

    return advance


def _measure(stored: Stored, out_axis: int, piece: int, done: Callable[[int], None]) -> Tensor:
    step = max(piece - piece % dtypes.unit(stored.dtype), dtypes.unit(stored.dtype))
    search = Search(stored.shape, out_axis, stored.dtype)
    sampler = Sampler(stored)
    summary = Summary()
    for start, codes in _codes(stored, step):
        summary = summary.merge(kernels.summarise(codes, stored.dtype))
        sampler.add(start, codes)
        search.add(start, codes)
        done(codes.size * BITS[stored.dtype] // 8)
    if search.undecided():
        for start, codes in _codes(stored, step):
            search.hash(start, codes)
    rows, columns = search.result(summary.zeros)
    return _tensor(stored, out_axis, summary, sampler, rows, columns)


def _codes(stored: Stored, step: int) -> Iterator[tuple[int, Codes]]:
    start = 0
    for raw in stored.pieces(step):
        codes = dtypes.codes(raw, stored.dtype)
        yield start, codes
        start += codes.size
    if start != stored.count:
        reason = f"tensor {stored.name} ended after {start} of {stored.count} elements"
        raise CheckpointError(stored.path, reason)


def _tensor(
    stored: Stored,
    out_axis: int,
    summary: Summary,
    sampler: Sampler,
    rows: Lines | None,
    columns: Lines | None,
) -> Tensor:
    low, high = summary.minimum, summary.maximum
    moments = summary.moments
    bins: tuple[int, ...] = ()
    sampled = 0
    law: Law | None = None
    if low is not None and high is not None:
        values = sampler.values()
        bins, sampled = histogram(values, low, high), values.size
        if stored.dtype in FLOATS - {"C64"} and not summary.nans and not summary.infs:
            law = recognise(
                Sample(
                    shape=stored.shape,
                    out_axis=out_axis,
                    dtype=stored.dtype,
                    count=stored.count,
                    mean=moments.mean,
                    variance=moments.variance,
                    minimum=low,
                    maximum=high,
                    zeros=summary.zeros,
                    values=values,
                    block=sampler.block(),
                )
            )
    return Tensor(
        name=stored.name,
        dtype=stored.dtype,
        shape=stored.shape,
        count=stored.count,
        mean=moments.mean if moments.count else None,
        variance=moments.variance if moments.count else None,
        minimum=low,
        maximum=high,
        zeros=summary.zeros,
        nans=summary.nans,
        infs=summary.infs,
        subnormals=summary.subnormals,
        histogram=bins,
        sampled=sampled,
        rows=rows,
        columns=columns,
        law=law,
    )
