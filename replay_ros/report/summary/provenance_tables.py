"""Tables of settings and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception_common.weights import file_sha256
from replay_ros.bags.storage_files import STORAGE_SUFFIXES
from replay_ros.report.content.text import Table
from replay_ros.report.reading.recording import RecordedReplay


def provenance_tables(provenance: Mapping[str, Any] | None) -> list[Table]:
    """Return one table per group of a result's provenance; values without a group go into the table "replay"."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in (provenance or {}).items():
        rows = _flatten(value, "") if isinstance(value, Mapping) else [(name, _cell(value))]
        groups.setdefault(name if isinstance(value, Mapping) else "replay", []).extend(rows)
    return [Table(name, ("", ""), tuple(rows)) for name, rows in groups.items() if rows]


def bag_tables(path: Path, recording: RecordedReplay) -> list[Table]:
    """Return the hashes and topics of a bag, and the last diagnostics of each node."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES)
    tables = [
        Table("Output bag", ("file", "SHA-256"), tuple((file.name, file_sha256(file)) for file in files)),
        Table(
            "Topics", ("topic", "type", "messages"), tuple((name, kind, str(n)) for name, kind, n in recording.topics)
        ),
    ]
    for name, state in recording.nodes.items():
        if state.values:
            rows = tuple(state.values.items())
            tables.append(Table(name.lstrip("/"), ("", ""), rows, "Last diagnostics of the node."))
    return tables


def _flatten(content: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows = []
    for name, value in content.items():
        rows += _flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, _cell(value))]
    return rows


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
