"""The DiagnosticStatus of a node: its level, its message and its key-value pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from perception_common.node.counters import FrameCounters


def node_status(
    counters: FrameCounters,
    now: float,
    *,
    name: str,
    device: str,
    state: str,
    failure: str,
    problems: Sequence[str],
    dropped: int,
    details: Mapping[str, str],
) -> DiagnosticStatus:
    """Describe a node at `now`, seconds of the counters' clock.

    state: of the lifecycle. failure: why the last transition failed, or "". problems: what is wrong now, the oldest
    first. dropped: images that were never processed. details: further key-value pairs, listed after the state.
    """
    values = {
        "state": state,
        **details,
        "images received": str(counters.received),
        "images answered": str(counters.processed),
        "images dropped": str(dropped),
        "images lost before this node": str(counters.lost.total),
        "of these in the middleware": str(counters.lost.in_middleware),
        "images refused": str(counters.refused),
        "last refusal": counters.last_refusal,
        "stamps jumped back": str(counters.stamp_jumps),
        "input rate [1/s]": f"{counters.input_rate.rate(now):.2f}",
        "output rate [1/s]": f"{counters.output_rate.rate(now):.2f}",
    }
    for stage, window in list(counters.stages.items()):  # the worker thread may add stages meanwhile
        for percentile, seconds in (("p50", window.p50), ("p95", window.p95), ("p99", window.p99)):
            values[f"{stage} {percentile} [ms]"] = f"{1e3 * seconds:.2f}"
    return diagnostic_status(
        name=name,
        hardware_id=device,
        failure=failure,
        problems=problems,
        otherwise=f"{state}: {counters.output_rate.rate(now):.1f} images/s answered",
        values=values,
    )


def diagnostic_status(
    *,
    name: str,
    hardware_id: str,
    problems: Sequence[str],
    otherwise: str,
    values: Mapping[str, str],
    failure: str = "",
) -> DiagnosticStatus:
    """Make a status: ERROR with a failure, WARN with the first problem, else OK with the message `otherwise`.

    The problems are also listed after the values, as `problem N`.
    """
    if failure:
        level, message = DiagnosticStatus.ERROR, failure
    elif problems:
        level, message = DiagnosticStatus.WARN, problems[0]
    else:
        level, message = DiagnosticStatus.OK, otherwise
    listed = {**values, **{f"problem {number}": problem for number, problem in enumerate(problems)}}
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in listed.items()],
    )
