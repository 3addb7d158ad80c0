import argparse
import gc
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perception_common import cli
from perception_common.cli import quick_imports, run
from perception_common.errors import InputError


@pytest.fixture(autouse=True)
def _signals_of_the_test_run():
    """`run` ends a process and leaves its signals ignored; the test run goes on."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def raising(error: BaseException):
    def main(arguments: list[str] | None) -> int | None:
        raise error

    return main


def test_garbage_is_collected_again_after_quick_imports_and_what_exists_is_left_out():
    frozen = gc.get_freeze_count()
    try:
        with quick_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "word", ""])
def test_options_take_finite_numbers_only(text, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=cli.number)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--rate={text}"])
    assert f"argument --rate: invalid number value: '{text}'" in capsys.readouterr().err
    assert parser.parse_args(["--rate=-1e3"]).rate == -1000.0


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_the_status_is_what_main_returns(returned, status):
    with pytest.raises(SystemExit) as end:
        run(lambda arguments: returned)
    assert end.value.code == status


def test_bad_input_is_one_line_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/replay"])
    with pytest.raises(SystemExit) as end:
        run(raising(InputError("x.mcap does not exist; check the path")))
    assert end.value.code == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "replay: x.mcap does not exist; check the path\n")


@pytest.mark.parametrize(
    ("open_it", "cause"),
    [
        (lambda folder: (folder / "file" / "log").open("w"), "file/log cannot be used (Not a directory)"),
        (lambda folder: folder.open("w"), "cannot be used (Is a directory)"),
        (lambda folder: (folder / ("n" * 300)).mkdir(), "cannot be used (File name too long)"),
        (lambda folder: (folder / "file").mkdir(), "file cannot be used (File exists)"),
    ],
)
def test_a_path_of_the_wrong_kind_is_one_line_on_stderr(tmp_path, capsys, open_it, cause):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end:
        run(lambda arguments: open_it(tmp_path))
    assert end.value.code == 1
    assert f"{cause}; check the path and its permissions\n" in capsys.readouterr().err


def test_a_file_that_is_missing_without_a_word_is_a_bug(tmp_path):
    with pytest.raises(FileNotFoundError):
        run(lambda arguments: (tmp_path / "missing").open())


def test_an_interrupt_is_quiet(capsys):
    with pytest.raises(SystemExit) as end:
        run(raising(KeyboardInterrupt()))
    assert end.value.code == 130
    assert capsys.readouterr().err == ""


def test_other_exceptions_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run(raising(ZeroDivisionError()))


PRINTER = """
from perception_common.cli import run
def main(arguments):
    for line in range(100_000):
        print(line)
run(main)
"""


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error(repository: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTER], cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"0\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=10) == 141


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, which fails like a full disk")
def test_stdout_on_a_full_disk_is_one_line(repository: Path):
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [sys.executable, "-c", PRINTER], cwd=repository, stdout=full, stderr=subprocess.PIPE, check=False, text=True
        )
    assert process.returncode == 1
    assert process.stderr == "-c: the output cannot be written (No space left on device); free some space\n"


def signalled_while_it_imports(command: str, module: str, number: int, repository: Path, folder: Path):
    """Send a signal to a command that imports the module "slow"; return its status and what it printed then."""
    (folder / "slow.py").write_text(module)
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{command}"],
        cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


SLOW_IMPORT = """
import sys
from perception_common.cli import run
def main(arguments):
    import slow
run(main)
"""
SLOW_MODULE = """
import time
try:
    print("importing", flush=True)
    time.sleep(60)
finally:
    print("cleaned up", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_quietly_while_it_still_imports(repository, tmp_path, number, status):
    ended = signalled_while_it_imports(SLOW_IMPORT, SLOW_MODULE, number, repository, tmp_path)
    assert ended == (status, "cleaned up\n", "")


QUICK_IMPORT = """
from perception_common.cli import quick_imports, run
def main(arguments):
    with quick_imports():
        import slow
run(main)
"""
TURNING_MODULE = """
import time
print("importing", flush=True)
try:
    time.sleep(60)
except BaseException as error:  # as numpy does
    raise ImportError("you should not import it from its source directory")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_library_cannot_turn_a_signal_into_an_error_of_its_own(repository, tmp_path, number, status):
    ended = signalled_while_it_imports(QUICK_IMPORT, TURNING_MODULE, number, repository, tmp_path)
    assert ended == (status, "", "")


def test_signals_have_their_handlers_back_after_quick_imports():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with quick_imports():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is cli.end_at_once
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
