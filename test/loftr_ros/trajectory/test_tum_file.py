"""The file of the trajectory: its format, further files of a run, and disks that are full for a while."""

import resource
import shutil
import signal
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from loftr_ros.results import KeyframeInfo, TrajectoryPose
from loftr_ros.trajectory import tum_file
from loftr_ros.trajectory.tum_file import HEADING, TrajectoryRecorder
from perception_common.errors import InputError
from perception_common.geometry import so3_exp, transform
from perception_common.tum import read_tum


def pose(second, assumed=""):
    T = transform(so3_exp(np.array([0.0, 0.0, 0.1 * second])), np.array([float(second), 0.5, 0.0]))
    keyframe = KeyframeInfo(second, second * 10**9, "camera", 320, 240, None)
    return TrajectoryPose(keyframe, T, is_metric=not assumed, assumed=assumed)


def record(recorder, *seconds, starts=True):
    for number, second in enumerate(seconds):
        recorder.add(pose(second), starts=starts and number == 0)
        recorder.write()


def stamps(path):
    return [stamp // 10**9 for stamp in read_tum(path).stamps_ns.tolist()]


@contextmanager
def no_room_beyond(size):
    """Let no file of this process grow beyond `size` bytes: writes end in the middle, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_the_file_is_tum_and_marks_what_is_not_metric(tmp_path):
    poses = [pose(0), pose(1), pose(2, assumed="no altitude")]
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    for number, each in enumerate(poses):
        recorder.add(each, starts=number == 0)
        recorder.write()
        assert len(read_tum(recorder.file)) == number + 1  # readable while it grows
    assert recorder.close() == ""
    read = read_tum(tmp_path / "flight.txt")
    np.testing.assert_array_equal(read.stamps_ns, [0, 10**9, 2 * 10**9])
    np.testing.assert_allclose(read.matrices(), [each.T_map_camera for each in poses], atol=1e-12)
    lines = (tmp_path / "flight.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    assert [line.startswith("# not metric") for line in lines] == [False, False, False, True, False]


def test_a_place_that_cannot_be_written_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"flight.txt cannot be written .*choose another path"):
        TrajectoryRecorder(tmp_path / "nowhere" / "flight.txt")
    with no_room_beyond(0), pytest.raises(InputError, match="File too large"):
        TrajectoryRecorder(tmp_path / "flight.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["flights", "flights/", "/", "/dev/null"])
def test_a_folder_or_device_is_no_trajectory_file(tmp_path, name):
    (tmp_path / "flights").mkdir()
    with pytest.raises(InputError, match="is no file: give the name of a file in an existing folder"):
        TrajectoryRecorder(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["flights"]


def test_each_trajectory_gets_a_file_of_its_own(tmp_path):
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    record(recorder, 0, 1)
    record(recorder, 2)
    record(recorder, 3, 4, 5)
    recorder.close()
    names = ("flight.txt", "flight_2.txt", "flight_3.txt")
    assert [stamps(tmp_path / name) for name in names] == [[0, 1], [2], [3, 4, 5]]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        (["flight.txt"], "flight_2.txt"),
        (["flight.txt", "flight_2.txt", "flight_12.txt"], "flight_13.txt"),
        (["flight_7.txt"], "flight_8.txt"),
        (["flight.txt.bak", "my_flight_9.txt", "flight_x.txt", "flight_3.tum"], "flight.txt"),
    ],
)
def test_a_restart_keeps_what_was_recorded(tmp_path, existing, expected):
    for name in existing:
        (tmp_path / name).write_text(f"the flight in {name}\n")
    for number in (0, 1):  # the second time as after a reconfiguration
        recorder = TrajectoryRecorder(tmp_path / "flight.txt")
        record(recorder, number)
        recorder.close()
        if number == 0:
            assert recorder.file.name == expected
    for name in existing:
        assert (tmp_path / name).read_text() == f"the flight in {name}\n"
    assert len(list(tmp_path.iterdir())) == len(existing) + 2


def test_two_nodes_with_one_path_do_not_share_a_file(tmp_path):
    first, second = (TrajectoryRecorder(tmp_path / "flight.txt") for _ in range(2))
    record(first, 1)
    record(second, 2)
    assert (stamps(first.file), stamps(second.file)) == ([1], [2])


def test_a_run_without_a_pose_leaves_no_file(tmp_path):
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    assert recorder.file.read_text() == HEADING
    assert recorder.close() == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", range(0, 90, 7))
def test_a_disk_that_was_full_for_a_while_loses_nothing(tmp_path, room):
    """Compare with the file of a run with enough room, byte by byte, wherever the disk became full."""
    undisturbed = TrajectoryRecorder(tmp_path / "other.txt")
    record(undisturbed, 0, 1, 2, 3)
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    record(recorder, 0)
    with no_room_beyond(recorder.file.stat().st_size + room):
        for second in (1, 2):
            recorder.add(pose(second), starts=False)
            with suppress(InputError):  # a short line may find room
                recorder.write()
        with pytest.raises(InputError, match=r"flight.txt cannot be written \(File too large\)"):
            recorder.write()
    record(recorder, 3, starts=False)
    assert recorder.close() == ""
    assert (tmp_path / "flight.txt").read_bytes() == undisturbed.file.read_bytes()


def replaced(path):
    """Another file takes the place of the file."""
    path.rename(path.with_name("moved away"))
    path.write_text("short")


@pytest.mark.parametrize(
    ("disturb", "expected"),
    [
        (lambda path: path.unlink(), {"flight.txt": [1, 2]}),
        (replaced, {"flight_2.txt": [1, 2], "moved away": [0]}),
    ],
)
def test_a_file_that_is_removed_or_replaced_in_flight_is_left_alone_and_another_one_begins(tmp_path, disturb, expected):
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    record(recorder, 0)
    disturb(recorder.file)
    record(recorder, 1, 2, starts=False)
    assert recorder.close() == ""
    assert {name: stamps(tmp_path / name) for name in expected} == expected
    assert f"# continues {tmp_path / 'flight.txt'}, which was removed or replaced" in recorder.file.read_text()
    if disturb is replaced:
        assert (tmp_path / "flight.txt").read_text() == "short"


def test_a_replaced_folder_gets_the_rest_of_the_trajectory(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    recorder = TrajectoryRecorder(folder / "flight.txt")
    record(recorder, 0)
    folder.rename(tmp_path / "pulled out")
    recorder.add(pose(1), starts=False)
    with pytest.raises(InputError, match="No such file"):
        recorder.write()
    folder.mkdir()
    record(recorder, 2, starts=False)
    recorder.close()
    assert [stamps(tmp_path / name / "flight.txt") for name in ("pulled out", "stick")] == [[0], [1, 2]]


def test_a_line_that_a_full_disk_cut_is_whole_in_the_next_file(tmp_path):
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    record(recorder, 0)
    with no_room_beyond(recorder.file.stat().st_size + 20):
        recorder.add(pose(1), starts=False)
        with pytest.raises(InputError, match="File too large"):
            recorder.write()
    recorder.file.unlink()
    record(recorder, 2, starts=False)
    assert stamps(tmp_path / "flight.txt") == [1, 2]


def test_a_file_of_somebody_else_is_not_removed_at_the_end(tmp_path):
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    replaced(recorder.file)
    assert recorder.close() == ""
    assert (tmp_path / "flight.txt").read_text() == "short"


def test_further_trajectories_wait_while_no_file_can_be_made(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    recorder = TrajectoryRecorder(folder / "flight.txt")
    record(recorder, 0)
    shutil.move(folder, tmp_path / "pulled out")
    for second, starts in ((1, True), (2, False), (3, True)):
        recorder.add(pose(second), starts=starts)
        with pytest.raises(InputError, match="No such file"):
            recorder.write()
    shutil.move(tmp_path / "pulled out", folder)
    recorder.write()
    assert [stamps(folder / f"flight{end}.txt") for end in ("", "_2", "_3")] == [[0], [1, 2], [3]]


def test_poses_that_find_no_room_to_wait_are_counted_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tum_file, "_MAX_WAITING", 200)
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    record(recorder, 0)
    with no_room_beyond(recorder.file.stat().st_size):
        for second in range(1, 10):
            recorder.add(pose(second), starts=False)
            with pytest.raises(InputError):
                recorder.write()
    recorder.write()
    record(recorder, 10, starts=False)
    kept = stamps(recorder.file)
    assert kept == [*range(len(kept) - 1), 10]
    missing = 11 - len(kept)
    assert missing > 3
    assert f"# {missing} poses are missing here: the disk was full" in recorder.file.read_text()


def test_what_is_lost_at_the_end_is_said(tmp_path):
    recorder = TrajectoryRecorder(tmp_path / "flight.txt")
    record(recorder, 0)
    with no_room_beyond(recorder.file.stat().st_size):
        for second in (1, 2):
            recorder.add(pose(second), starts=False)
        assert recorder.close().endswith("2 poses are lost")
