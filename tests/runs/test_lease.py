"""One writer a run: refused while another lives, taken over when it died, given back at the end."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

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


def elsewhere(folder, *, age_seconds):
    """A lease of a job on a machine that nobody here can look into."""
    renewed = time.time() - age_seconds
    about = {"token": "t", "command": "python -m jobs.search x", "host": "other", "boot": "b", "pid": 7}
    folder.write_json("lease.json", {**about, "pid_started": 1.0, "renewed_unix_seconds": renewed})


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
def test_of_another_machine_only_the_signs_of_life_are_seen(folder, age_seconds, refused):
    elsewhere(folder, age_seconds=age_seconds)
    if refused:
        with pytest.raises(LeaseError, match="process 7 on other"), lease(folder, COMMAND, on_lost=never):
            pass
    else:
        with lease(folder, COMMAND, on_lost=never):
            assert holder(folder).pid == os.getpid()


def test_a_damaged_lease_holds_nobody_up(folder):
    folder.write_text("lease.json", "{")
    with lease(folder, COMMAND, on_lost=never):
        assert holder(folder).pid == os.getpid()


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
        elsewhere(folder, age_seconds=0)
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
