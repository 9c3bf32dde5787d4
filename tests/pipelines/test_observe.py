"""What a run tells while it runs."""

import io
import os
import pty
import subprocess
import sys

from parcours.pipelines.observe import PlainObserver, SilentObserver, observer_for, slice_text


def test_log_lines_are_stamped_and_masked():
    """In a log, a warning and a committed slice are one line each, with the time and without secrets."""
    file = io.StringIO()
    observer = PlainObserver(lambda text: text.replace("secret", "****"), file)
    observer.warn("no secret here")
    observer.slice_done({"slices": 2, "read": 1200, "loaded": 1199, "duplicate": 0, "quarantined": 1})
    lines = [line.split(" ", 1) for line in file.getvalue().splitlines()]
    assert [text for _, text in lines] == [
        "warning: no **** here",
        "slice 2 committed: read 1,200, loaded 1,199, quarantined 1",
    ]
    assert all(stamp.endswith("Z") for stamp, _ in lines)


def test_progress_in_a_log_is_rare():
    """Progress lines do not flood a log."""
    file = io.StringIO()
    observer = PlainObserver(str, file)
    observer.begin("ingest")
    for done in range(1000):
        observer.progress(done, 1000)
    assert file.getvalue() == ""
    observer.EVERY_SECONDS = 0
    observer.progress(1000, 2000)
    assert file.getvalue().endswith("ingest: 1,000 of 2,000 records\n")


def test_an_empty_slice_still_says_what_was_read():
    """Counts of nothing are left out, but for ``read``."""
    assert slice_text({"read": 0, "loaded": 0}) == "slice committed: read 0"


def test_nothing_is_said_where_a_program_reads():
    """With --json, or any quiet command, there is no progress."""
    assert type(observer_for(str, quiet=True)) is SilentObserver
    assert type(observer_for(str, quiet=False)) is PlainObserver


def test_a_person_at_a_terminal_sees_a_bar(tmp_path):
    """On a terminal progress is a bar on stderr; stdout has the result alone."""
    leader, follower = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "parcours.pipelines.cli",
        "simulate",
        "--events",
        "500",
        "--format",
        "json",
    ]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=follower
    ) as running:
        os.close(follower)
        shown = b""
        try:
            while part := os.read(leader, 4096):
                shown += part
        except OSError:  # a terminal whose last writer is gone
            pass
        out = running.stdout.read()
    os.close(leader)
    assert running.returncode == 0
    assert b"simulate" in shown
    assert b"500/500" in shown
    assert out.startswith(b"wrote 500 records")
