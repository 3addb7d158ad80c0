from perception_common.training.broken_files import BrokenFiles


def test_a_file_is_logged_once_and_counted_once(caplog):
    broken = BrokenFiles()
    for _ in range(3):
        broken.add("a.jpg", "it cannot be decoded")
    broken.add("b.jpg", "it is empty")
    assert broken.count == 2
    assert [record.getMessage() for record in caplog.records] == [
        "a.jpg is skipped: it cannot be decoded (1 broken so far)",
        "b.jpg is skipped: it is empty (2 broken so far)",
    ]
