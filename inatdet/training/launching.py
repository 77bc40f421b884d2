"""A cluster of processes on one machine: started, watched over, and ended together.

Nothing here needs TensorFlow. What is started is any command that reads `TF_CONFIG`.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from inatdet.errors import InputError, RunError
from inatdet.training.cluster import ASYNCHRONOUS, CHIEF, EVALUATOR, SERVER, WORKER

_HOST = "127.0.0.1"
_POLL = 0.1  # seconds between two looks after the processes
_LONGEST_PAUSE = 60.0  # seconds before a start
_KILLED_AFTER = 10.0  # seconds that a process has to end in when it is not needed any more
_BAD_INPUT = 2  # the exit code for what starting again does not mend
_ASKED_TO_END = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_DIE_WITH_PARENT = 1  # Linux: PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Plan:
    """Which processes to start.

    Attributes:
        command: what each process runs.
        strategy: `multi_worker_mirrored` or `parameter_server`.
        workers: how many compute gradients.
        servers: how many hold the weights, in asynchronous training.
        evaluator: whether another one validates checkpoints.
        gpus: the GPUs, as CUDA_VISIBLE_DEVICES names them; each worker has as many as the others.
        log_dir: where the processes' output goes.
    """

    command: Sequence[str]
    strategy: str
    workers: int
    log_dir: str
    servers: int = 1
    evaluator: bool = False
    gpus: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.workers < 1 or self.servers < 1:
            raise InputError("a cluster takes at least one worker and one server")
        if len(self.gpus) % self.workers:
            raise InputError(
                f"{len(self.gpus)} GPUs cannot be shared out among {self.workers} workers; each "
                "takes the same number of them"
            )

    @property
    def members(self) -> list[tuple[str, int]]:
        """Type and index of each process; the first one is that which saves."""
        counts = {WORKER: self.workers, EVALUATOR: int(self.evaluator)}
        if self.strategy == ASYNCHRONOUS:
            counts = {CHIEF: 1, SERVER: self.servers, **counts}
        return [(job, index) for job, count in counts.items() for index in range(count)]

    def environment(
        self, job: str, index: int, addresses: Mapping[str, list[str]]
    ) -> dict[str, str]:
        """The variables that tell a process who it is, and which GPUs it has."""
        described = {"cluster": addresses, "task": {"type": job, "index": index}}
        each = len(self.gpus) // self.workers
        own = self.gpus[index * each : (index + 1) * each] if job == WORKER else []
        return {"TF_CONFIG": json.dumps(described), "CUDA_VISIBLE_DEVICES": ",".join(own)}


@dataclass
class _Member:
    job: str
    index: int
    log: str
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0  # by the monotonic clock
    start_at: float = 0.0  # when to start it again, if it is lost

    @property
    def name(self) -> str:
        return f"{self.job} {self.index}"

    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll() if self.process else None


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
    _members: list[_Member] = field(default_factory=list)
    _addresses: dict[str, list[str]] = field(default_factory=dict)
    _told: int = 0  # bytes of the first process's output that have been passed on

    def run(self) -> None:
        """Runs the cluster until the first process has done its work.

        Raises:
            InputError: a process refused its input; the message is in its output.
            RunError: processes failed again and again.
            KeyboardInterrupt: when interrupted; the first process has saved before.
        """
        os.makedirs(self.plan.log_dir, exist_ok=True)
        self._members = [
            _Member(job, index, os.path.join(self.plan.log_dir, f"{job}-{index}.log"))
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
                pause = min(self.pause * 2 ** (failures - 1), _LONGEST_PAUSE)
                self.notify(f"starting all again in {pause:g} s from {saved or 'the beginning'}")
                time.sleep(pause)
        except KeyboardInterrupt:
            self._ask_to_end()
            raise
        finally:
            self._end()

    @property
    def _first(self) -> _Member:
        return self._members[0]

    def _start_all(self) -> None:
        jobs: dict[str, int] = {}
        for member in self._members:
            jobs[member.job] = jobs.get(member.job, 0) + (member.job != EVALUATOR)
        ports = iter(free_ports(sum(jobs.values())))
        self._addresses = {
            job: [f"{_HOST}:{next(ports)}" for _ in range(count)]
            for job, count in jobs.items()
            if count
        }
        self._told = os.path.getsize(self._first.log) if os.path.exists(self._first.log) else 0
        for member in self._members:
            self._start(member)
        self.notify(
            f"started {', '.join(map(_described, self._members))}; their output is in "
            f"{self.plan.log_dir}"
        )

    def _start(self, member: _Member) -> None:
        member.started_at = time.monotonic()
        own = self.plan.environment(member.job, member.index, self._addresses)
        with open(member.log, "ab") as log:
            member.process = subprocess.Popen(  # noqa: S603, it is the caller's command
                self.plan.command,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C must reach the processes in the right order, from here.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def _watch(self) -> bool:
        """Looks after the processes; returns whether the first is done, or else one is lost."""
        while True:
            self._pass_on()
            if self._first.code() == 0:
                self._pass_on()
                return True
            for member in self._members:
                code = member.code()
                if code in (None, 0):  # those that are done may end before the first
                    continue
                if code == _BAD_INPUT and member.job != EVALUATOR:
                    raise InputError(f"{member.name}: {self._last_words(member)}")
                if self._starts_alone(member):
                    self._start_again(member, code)
                elif code in _ASKED_TO_END:
                    raise KeyboardInterrupt
                else:
                    self._say_lost(member, code)
                    return False
            time.sleep(_POLL)

    def _starts_alone(self, member: _Member) -> bool:
        """Whether the others go on while a process is started again."""
        return member.job == EVALUATOR or (
            member.job == WORKER and self.plan.strategy == ASYNCHRONOUS
        )

    def _start_again(self, member: _Member, code: int) -> None:
        now = time.monotonic()
        if not member.start_at:
            self._say_lost(member, code)
            if now - member.started_at > _LONGEST_PAUSE:
                member.failures = 0
            member.failures += 1
            pause = min(self.pause * 2 ** (member.failures - 1), _LONGEST_PAUSE)
            member.start_at = now + pause
            self.notify(f"starting {member.name} again in {pause:g} s; the others go on")
        elif now >= member.start_at:
            member.start_at = 0.0
            self._start(member)
            self.notify(f"started {_described(member)} again")

    def _say_lost(self, member: _Member, code: int) -> None:
        how = f"ended with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
        words = self._last_words(member)
        self.notify(f"{member.name} {how}{f' ({words})' if words else ''}")

    def _last_words(self, member: _Member) -> str:
        """What a process said last, without the word for errors."""
        with suppress(OSError), open(member.log, "rb") as log:
            log.seek(max(0, os.path.getsize(member.log) - 4096))
            lines = log.read().decode("utf-8", "replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            return said[-1].removeprefix("error: ") if said else ""
        return ""

    def _pass_on(self) -> None:
        """Passes on whole lines of the first process's output."""
        with suppress(OSError), open(self._first.log, "rb") as log:
            log.seek(self._told)
            text = log.read()
            whole = text.rpartition(b"\n")[0]
            if whole:
                self._told += len(whole) + 1
                for line in whole.decode("utf-8", "replace").split("\n"):
                    self.notify(line)

    def _finish(self) -> None:
        """Lets processes that take steps together, and a validation, end by themselves."""
        waiting = [
            m
            for m in self._members
            if m.job == EVALUATOR or (m.job == WORKER and not self._starts_alone(m))
        ]
        until = time.monotonic() + self.grace
        while any(m.code() is None for m in waiting) and time.monotonic() < until:
            time.sleep(_POLL)

    def _ask_to_end(self) -> None:
        """Asks the first process to save and end, and passes on what it says meanwhile."""
        process = self._first.process
        if process is None or process.poll() is not None:
            return
        self.notify("asking the processes to end; a second signal ends them at once")
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self.grace
        while process.poll() is None and time.monotonic() < until:
            self._pass_on()
            time.sleep(_POLL)
        self._pass_on()

    def _end(self) -> None:
        """Ends all processes, the last ones by force."""
        running = [m.process for m in self._members if m.process and m.process.poll() is None]
        with ExitStack() as stack:
            for process in running:
                stack.callback(process.wait)
                stack.callback(process.kill)
                process.terminate()
            until = time.monotonic() + _KILLED_AFTER
            while any(p.poll() is None for p in running) and time.monotonic() < until:
                time.sleep(_POLL)
        for member in self._members:
            member.start_at = 0.0


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens at; another program may still take one of them."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _described(member: _Member) -> str:
    return f"{member.name} (process {member.process.pid if member.process else 'none'})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _die_with_parent() -> None:
    """Makes Linux end a process when the launcher is gone, however that ended."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
