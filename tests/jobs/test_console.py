"""What the console does beside printing."""

import signal

import pytest

from jobs.cli.job import Console


class Finalised:
    """Raises its interrupt where Python drops it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __del__(self) -> None:
        self._console.interrupt(signal.SIGINT, None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_was_lost_comes_with_the_next_progress(capsys):
    console = Console()
    console.progress("1 of 2")
    Finalised(console)
    with pytest.raises(KeyboardInterrupt):
        console.progress("2 of 2")
    console.say("interrupted")
    assert capsys.readouterr().err == "1 of 2\ninterrupted\n"
