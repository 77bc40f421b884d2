"""A cluster of processes on one machine: started, watched over, and ended together.

Nothing here needs TensorFlow. What is started is any command that reads `TF_CONFIG`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from inatdet.errors import InputError, RunError
from inatdet.interruptions import Noted, deferred
from inatdet.training.cluster import EVALUATOR, WORKER
from inatdet.training.launch_plan import Plan
from inatdet.training.member import Member, NewLines

_POLL = 0.1  # seconds between two looks after the processes
_LONGEST_PAUSE = 60.0  # seconds before a start
_KILLED_AFTER = 10.0  # seconds that a process has to end in when it is not needed any more
_BAD_INPUT = 2  # the exit code for what starting again does not mend
_ASKED_TO_END = (128 + signal.SIGINT, 128 + signal.SIGTERM)


@dataclass
class Launch:
    """Starts the processes of a plan and watches over them.

    Attributes:
        plan: which.
        newest: names the newest checkpoint, or None; starts are worth repeating while it changes.
        notify: receives what the first process says, and remarks.
        max_restarts: how often to start again without a new checkpoint in between.
        pause: seconds before the first start after a failure; twice as long before each next one.
        grace: seconds that the first process has to save in when this is interrupted.
    """

    plan: Plan
    newest: Callable[[], str | None]
    notify: Callable[[str], None]
    max_restarts: int = 3
    pause: float = 1.0
    grace: float = 300.0
    _members: list[Member] = field(default_factory=list)
    _addresses: dict[str, list[str]] = field(default_factory=dict)
    _said: NewLines | None = None  # by the first process
    _asked: Sequence[Noted] = ()  # signals to end

    def run(self) -> None:
        """Runs the cluster until the first process has done its work.

        Raises:
            InputError: a process refused its input; the message is in its output.
            RunError: processes failed again and again.
            KeyboardInterrupt: when interrupted; the first process has saved before.
        """
        # An exception in the middle of `subprocess` may leave a lock behind, for which the end of
        # the process would then wait for ever, or a process that nobody knows of.
        with deferred() as self._asked:
            self._run()

    def _run(self) -> None:
        os.makedirs(self.plan.log_dir, exist_ok=True)
        self._members = [
            Member(job, index, os.path.join(self.plan.log_dir, f"{job}-{index}.log"))
            for job, index in self.plan.members
        ]
        failures, saved = 0, self.newest()
        try:
            while True:
                self._start_all()
                if self._watch():
                    self._finish()
                    return
                self._end()
                failures, saved = (failures + 1 if self.newest() == saved else 1), self.newest()
                if failures > self.max_restarts:
                    raise RunError(
                        f"{failures} starts in a row failed without a new checkpoint; the reasons "
                        f"are in {self.plan.log_dir}"
                    )
                pause = self._pause_after(failures)
                self.notify(f"starting all again in {pause:g} s from {saved or 'the beginning'}")
                self._wait(pause)
        except KeyboardInterrupt:
            self._ask_to_end()
            raise
        finally:
            self._end()

    @property
    def _first(self) -> Member:
        return self._members[0]

    def _start_all(self) -> None:
        self._addresses = self.plan.addresses()
        self._said = NewLines(self._first.log)
        for member in self._members:
            self._start(member)
        self.notify(
            f"started {', '.join(one.described for one in self._members)}; their output is in "
            f"{self.plan.log_dir}"
        )

    def _start(self, member: Member) -> None:
        member.start(
            self.plan.command, self.plan.environment(member.job, member.index, self._addresses)
        )

    def _watch(self) -> bool:
        """Looks after the processes; returns whether the first is done, or else one is lost."""
        while True:
            self._pass_on()
            if self._first.code == 0:
                self._pass_on()
                return True
            for member in self._members:
                code = member.code
                if code in (None, 0):  # those that are done may end before the first
                    continue
                if code == _BAD_INPUT and member.job != EVALUATOR:
                    raise InputError(f"{member.name}: {member.last_words()}")
                if self.plan.starts_alone(member.job):
                    self._start_again(member)
                elif code in _ASKED_TO_END:
                    raise KeyboardInterrupt
                else:
                    self.notify(member.how_it_ended())
                    return False
            self._wait()

    def _start_again(self, member: Member) -> None:
        """Starts one that is lost again, once it is time; the first call says when that is."""
        now = time.monotonic()
        if not member.start_at:
            self.notify(member.how_it_ended())
            if now - member.started_at > _LONGEST_PAUSE:
                member.failures = 0
            member.failures += 1
            pause = self._pause_after(member.failures)
            member.start_at = now + pause
            self.notify(f"starting {member.name} again in {pause:g} s; the others go on")
        elif now >= member.start_at:
            self._start(member)
            self.notify(f"started {member.described} again")

    def _pause_after(self, failures: int) -> float:
        return min(self.pause * 2 ** (failures - 1), _LONGEST_PAUSE)

    def _pass_on(self) -> None:
        """Passes on what the first process has said meanwhile."""
        for line in self._said.read() if self._said else []:
            self.notify(line)

    def _finish(self) -> None:
        """Lets processes that take steps together, and a validation, end by themselves."""
        waiting = [
            one
            for one in self._members
            if one.job == EVALUATOR or (one.job == WORKER and not self.plan.starts_alone(WORKER))
        ]
        until = time.monotonic() + self.grace
        while any(one.code is None for one in waiting) and time.monotonic() < until:
            self._wait()

    def _wait(self, seconds: float = _POLL) -> None:
        """Waits; raises KeyboardInterrupt when a signal has come."""
        until = time.monotonic() + seconds
        while not self._asked:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _POLL))
        raise KeyboardInterrupt

    def _ask_to_end(self) -> None:
        """Asks the first process to save and end, and passes on what it says meanwhile."""
        signals = len(self._asked)
        process = self._first.process
        if process is None or process.poll() is not None:
            return
        self.notify("asking the processes to end; a second signal ends them at once")
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self.grace
        while process.poll() is None and time.monotonic() < until and len(self._asked) == signals:
            self._pass_on()
            time.sleep(_POLL)
        self._pass_on()

    def _end(self) -> None:
        """Ends all processes, the last ones by force."""
        running = [one.process for one in self._members if one.process and one.code is None]
        with ExitStack() as stack:
            for process in running:
                stack.callback(process.wait)
                stack.callback(process.kill)
                process.terminate()
            until = time.monotonic() + _KILLED_AFTER
            while any(one.poll() is None for one in running) and time.monotonic() < until:
                time.sleep(_POLL)
        for member in self._members:
            member.start_at = 0.0
