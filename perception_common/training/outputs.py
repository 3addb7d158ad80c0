"""Outputs of a run that cannot be written: they are reported, and the run goes on as long as it can."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from perception_common.atomic_file import make_folder, output_file, write_error
from perception_common.errors import InputError


class OutputProblems:
    """The outputs that could not be written when this was tried last, by name."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    @contextmanager
    def tolerated(self, name: str, *kinds: type[Exception]) -> Iterator[None]:
        """Write the output `name` within a with-block: its errors are logged when they begin and when they are over.

        kinds: further exceptions, besides those of writing, that do not end the run.
        """
        expected: tuple[type[Exception], ...] = (InputError, OSError, *kinds)
        try:
            yield
        except expected as error:
            reason = str(error if isinstance(error, InputError) else write_error(name, error))
            if name not in self._reasons:
                logging.getLogger(__name__).warning("%s. The training goes on without it", reason)
            self._reasons[name] = reason
        else:
            if self._reasons.pop(name, None) is not None:
                logging.getLogger(__name__).warning("%s is written again", name)

    def reason(self, name: str) -> str:
        """Return why the output could not be written when this was tried last; empty if it was written."""
        return self._reasons.get(name, "")


def begin_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Make the folder of a run and write config.yaml into it. Raises InputError."""
    make_folder(folder)
    with output_file(folder / "config.yaml") as unfinished:
        unfinished.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
