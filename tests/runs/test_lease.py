"""One writer a run: refused while another lives, taken over when it died, given back at the end."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from framework.errors import LeaseError
from framework.runs.lease import STALE_SECONDS, holder, lease
from framework.storage import open_folder
from tests.conftest import missing

COMMAND = ["python", "-m", "jobs.search", "faces.yaml"]


def never(text):
    raise AssertionError(text)


@pytest.fixture
def folder(location):
    return open_folder(location)


def elsewhere(folder, *, age_seconds=0.0, **about):
    """A lease of a job on a machine that nobody here can look into, written so long ago by the folder's clock."""
    known = {"token": "t", "command": "python -m jobs.search x", "host": "other", "boot": "b", "pid": 7}
    folder.write_json("lease.json", {**known, "pid_started": 1.0, "renewed_unix_seconds": time.time(), **about})
    if age_seconds:
        written = time.time() - age_seconds
        os.utime(Path(folder.location) / "lease.json", (written, written))


def test_it_is_held_within_the_block_and_given_back(folder):
    with lease(folder, COMMAND, on_lost=never):
        found = holder(folder)
        assert found is not None
        assert (found.alive, found.pid, found.command) == (True, os.getpid(), "python -m jobs.search faces.yaml")
        refusal = rf"python -m jobs.search faces.yaml \(process {os.getpid()} "
        with pytest.raises(LeaseError, match=refusal), lease(folder, COMMAND, on_lost=never):
            pass
    assert holder(folder) is None
    with lease(folder, COMMAND, on_lost=never):
        pass


def test_a_block_that_raises_gives_it_back(folder):
    with pytest.raises(ZeroDivisionError), lease(folder, COMMAND, on_lost=never):
        raise ZeroDivisionError
    assert holder(folder) is None


@pytest.mark.parametrize(("age_seconds", "refused"), [(STALE_SECONDS / 2, True), (STALE_SECONDS + 1, False)])
def test_of_another_machine_only_the_signs_of_life_are_seen(tmp_path, age_seconds, refused):
    folder = open_folder(tmp_path)
    elsewhere(folder, age_seconds=age_seconds)
    if refused:
        with pytest.raises(LeaseError, match="process 7 on other"), lease(folder, COMMAND, on_lost=never):
            pass
    else:
        with lease(folder, COMMAND, on_lost=never):
            assert holder(folder).pid == os.getpid()


@pytest.mark.parametrize("claimed", [0.0, 1e300, 2e9])
def test_the_clock_of_the_storage_counts_and_not_that_of_the_other_machine(folder, claimed):
    elsewhere(folder, renewed_unix_seconds=claimed)
    with pytest.raises(LeaseError, match="process 7 on other"), lease(folder, COMMAND, on_lost=never):
        pass
    with lease(folder, COMMAND, on_lost=never, stale_seconds=0.0):
        assert holder(folder).pid == os.getpid()
    assert folder.files() == []


def test_a_lease_that_was_written_in_the_future_is_not_alive_for_ever(tmp_path):
    folder = open_folder(tmp_path)
    elsewhere(folder, age_seconds=-86_400)
    assert not holder(folder).alive
    with lease(folder, COMMAND, on_lost=never):
        assert holder(folder).pid == os.getpid()


def test_a_job_of_this_machine_stays_alive_when_the_clock_is_set_back(tmp_path):
    folder = open_folder(tmp_path)
    with lease(folder, COMMAND, on_lost=never):
        assert holder(folder, now=time.time() - 7_200).alive


DAMAGED = ["{", "null", "[" * 100_000, '{"pid": 1%s}' % ("0" * 5_000), '{"token": NaN}', "\ufeff{}", '{"pid": "7"}']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_lease_holds_nobody_up(folder, text):
    folder.write_text("lease.json", text)
    with lease(folder, COMMAND, on_lost=never):
        assert holder(folder).pid == os.getpid()


def test_the_holder_is_told_when_its_lease_is_deleted(tmp_path):
    told, heard = [], threading.Event()
    with lease(
        open_folder(tmp_path), COMMAND, on_lost=lambda text: (told.append(text), heard.set()), heartbeat_seconds=0.1
    ):
        (tmp_path / "lease.json").unlink()
        heard.wait()
    assert told == [f"{tmp_path}: lease.json was deleted or damaged; this job ends"]


def test_storage_that_fails_for_a_while_does_not_end_the_holder(tmp_path):
    """A folder in the place of the run's parent cannot be read, like a mount that is away."""
    run = tmp_path / "run"
    run.mkdir()
    with lease(open_folder(run), COMMAND, on_lost=never, heartbeat_seconds=0.1):
        (tmp_path / "kept").hardlink_to(run / "lease.json")
        (tmp_path / "away").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "away")
        (tmp_path / "link").replace(run / "lease.json")  # at once: a moment without the file would end the holder
        time.sleep(0.4)
        (tmp_path / "kept").replace(run / "lease.json")
        before = renewed(run)
        while renewed(run) == before:
            time.sleep(0.01)


@pytest.mark.long
def test_who_was_killed_on_this_machine_holds_nothing_and_who_lives_does(tmp_path):
    code = f"""
        from framework.runs.lease import lease
        from framework.storage import open_folder
        import time
        with lease(open_folder({str(tmp_path)!r}), ["other"], on_lost=print):
            print("held", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        folder = open_folder(tmp_path)
        assert holder(folder).alive
        with pytest.raises(LeaseError), lease(folder, COMMAND, on_lost=never):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not holder(folder).alive
        with lease(folder, COMMAND, on_lost=never):
            assert holder(folder).pid == os.getpid()
    finally:
        process.kill()
        process.stdout.close()


def test_of_two_who_begin_at_one_moment_one_goes_on(tmp_path):
    folder, held, refused = open_folder(tmp_path), [], []
    start, done = threading.Barrier(2), threading.Event()

    def begin():
        start.wait()
        try:
            with lease(folder, COMMAND, on_lost=never):
                held.append(1)
                done.wait(30)
        except LeaseError:
            refused.append(1)
            done.set()

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 1)


def test_the_holder_is_told_when_it_was_taken_for_dead(tmp_path):
    folder, told, heard = open_folder(tmp_path), [], threading.Event()

    def lost(text):
        told.append(text)
        heard.set()

    with lease(folder, COMMAND, on_lost=lost, heartbeat_seconds=0.5):
        elsewhere(folder)
        heard.wait()
    assert len(told) == 1
    assert missing(told[0], "python -m jobs.search x", "process 7 on other") == []
    assert json.loads((tmp_path / "lease.json").read_text())["pid"] == 7  # not given back: it is the other's


def test_signs_of_life_are_renewed(tmp_path):
    folder = open_folder(tmp_path)
    with lease(folder, COMMAND, on_lost=never, heartbeat_seconds=0.2):
        signs = [renewed(tmp_path)]
        while len(signs) < 3:
            if (sign := renewed(tmp_path)) != signs[-1]:
                signs.append(sign)
            time.sleep(0.01)
    assert signs == sorted(signs)


def renewed(folder):
    return json.loads((folder / "lease.json").read_text())["renewed_unix_seconds"]
