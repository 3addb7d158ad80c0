"""The trajectory as a TUM text file that is written during the flight."""

from __future__ import annotations

from pathlib import Path

from loftr_ros.results import TrajectoryPose
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix
from perception_common.tum import tum_line

HEADING = "# T_map_camera of the keyframes: stamp tx ty tz qx qy qz qw; in metres unless a line below says otherwise\n"


class TrajectoryFile:
    """Appends poses, each flushed to disk at once; `poses` counts them. Raises InputError when it cannot write."""

    def __init__(self, path: Path):
        self._path = path
        self.poses = 0
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise self._refusal(error) from error
        self._write(HEADING)

    def add(self, pose: TrajectoryPose) -> None:
        """Append a pose. A comment precedes a step whose length is not measured."""
        q = quaternion_from_matrix(pose.T_map_camera[:3, :3])
        line = tum_line(pose.keyframe.stamp_ns, [*pose.T_map_camera[:3, 3].tolist(), *q.tolist()])
        note = f"# not metric: the length of the next step is assumed ({pose.assumed})\n" if pose.assumed else ""
        self._write(note + line)
        self.poses += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> InputError:
        return InputError(f"trajectory_file {self._path} cannot be written ({error.strerror}); choose another place")


def numbered(path: Path, number: int) -> Path:
    """Return the name of the first, second, ... trajectory of a run: flight.txt, flight_2.txt, ..."""
    return path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
