"""Bench command: measures a fan-out, and the same work by other ways, and shows, compares and draws what it found."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from ..bench.measure import Bench
from ..bench.picture import picture
from ..bench.report import Report, read_report
from ..bench.table import compared, table
from ..bench.work import OURS, WAYS, Work
from ..team.references import TARGET_FORM, is_target
from ..team.requirements import check_requirements
from ..terminal.interruptible import Interrupted, Interruptible
from ..terminal.streams import err, out, warn
from ..text import json_line
from .arguments import agent_of, given, load
from .manner import manner
from .words import none_such

if TYPE_CHECKING:
    from ..team.config import AgentConfig

__all__ = ["baseline", "measure", "numbers", "ways_of", "work_of"]

logger = logging.getLogger("subactors.runtime")

_FAILED: Final = 1
_PATIENCE: Final = 60.0
"""Seconds that the programs may take to end, one after the other, once they are told to."""

_MOST_TASKS: Final = 10_000


def numbers(text: str) -> list[int]:
    """Return numbers of tasks, the smallest first; raises click.BadParameter."""
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or found[0] < 1 or found[-1] > _MOST_TASKS:
        raise click.BadParameter(
            f"{text!r} are no numbers from 1 to {_MOST_TASKS:,} with commas between them, such as 1,10,100.",
            param_hint="--tasks",
        )
    return found


def ways_of(text: str) -> list[str]:
    """Return the other ways to do the work that are wanted; raises click.BadParameter."""
    found = [part.strip() for part in text.split(",") if part.strip() not in ("", "none")]
    unknown = [part for part in found if part not in WAYS[1:]]
    if unknown:
        raise click.BadParameter(none_such("way", unknown[0], (*WAYS[1:], "none")), param_hint="--against")
    return found


def work_of(
    words: Sequence[str], function: str | None, concurrency: int | None, places: Mapping[str, str | None]
) -> tuple[Work, str]:
    """Return what is measured, and what is to be known before; raises UsageError.

    Args:
        words: TEAM, AGENT and TASK; or what the function is called with.
        function: a function in place of an agent.
        concurrency: how many are at work at a time; None: as many as the team lets run.
        places: `state_dir` and `working_dir`.
    """
    work = Work(state_dir=places["state_dir"], working_dir=places["working_dir"])
    if function is not None:
        if not is_target(function):
            raise click.BadParameter(f"{function!r} is not of the form {TARGET_FORM}.", param_hint="--function")
        args = [_value(word) for word in words]
        at_a_time = concurrency or work.concurrency
        return msgspec.structs.replace(work, function=function, args=args, concurrency=at_a_time), ""
    if len(words) != 3:  # noqa: PLR2004 - TEAM, AGENT and TASK
        raise click.UsageError("Give a TEAM, an AGENT of it and a TASK; or a function: --function package.module:name.")
    team = load(Path(words[0]))
    agent = agent_of(team, words[1])
    check_requirements(team, agent, places["working_dir"] or "")
    config = team.agents[agent]
    entrypoint = config.entrypoint if isinstance(config.entrypoint, str) else ""
    task = given(words[2], "TASK")
    at_a_time = concurrency or team.settings.max_running
    what = {"team": words[0], "agent": agent, "task": task, "function": entrypoint, "concurrency": at_a_time}
    return msgspec.structs.replace(work, **what), _models(config)


def measure(
    work: Work,
    *,
    sizes: Sequence[int],
    repeat: int,
    against: Sequence[str],
    as_json: bool,
    plot: Path | None,
    compare: Path | None,
    warning: str,
) -> int:
    """Measure, and tell; return the exit status."""
    before = baseline(compare) if compare is not None else None
    if plot is not None and plot.suffix.lower() != ".svg":
        raise click.BadParameter(
            f"It is drawn as SVG, so name a file that ends with .svg, not {str(plot)!r}.", param_hint="--plot"
        )
    if plot is not None and not plot.parent.is_dir():
        raise click.BadParameter(f"There is no folder {plot.parent}. Make it first.", param_hint="--plot")
    ways = [OURS, *(way for way in WAYS[1:] if way in against and work.function)]
    work = msgspec.structs.replace(work, most=max(sizes))
    if warning and not manner.quiet:
        err.sentence(f"It will run {sum(sizes) * repeat:,} tasks of {work.agent}, {warning}. Ctrl-C ends it.")
    bench = Bench(work, ways, _show)
    with Interruptible(bench.cancel) as interruption:
        done = _run(bench, sizes, repeat)
        try:
            interruption.result_of(done)
        except Interrupted:
            with contextlib.suppress(TimeoutError):
                done.result(_PATIENCE)  # the programs have been told to end
        status = interruption.status
    _show("")
    if not bench.samples:
        if status:
            warn(f"Nothing is measured yet: interrupted by {interruption.cause}.")
        elif bench.missing:
            warn(bench.missing.get(OURS) or next(iter(bench.missing.values())))
        return status or _FAILED
    if not work.function:
        bench.missing.update(dict.fromkeys(WAYS[1:], "the agent has a model, and only a task runs it"))
    report = Report.of(bench, work, sizes=sizes, repeat=repeat)
    _tell(report, before, as_json=as_json)
    if plot is not None and not _drawn(report, plot):
        return _FAILED
    ours = report.by(OURS).values()
    return status or (_FAILED if any(figures.failures or figures.deaths for figures in ours) else 0)


def _run(bench: Bench, sizes: Sequence[int], repeat: int) -> Future[None]:
    """Have it measured in a thread, as this one waits for interrupts."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            bench.run(sizes, repeat)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="subactors-bench", daemon=True).start()
    return done


def _tell(report: Report, before: Report | None, *, as_json: bool) -> None:
    if as_json:
        out.line(json_line(msgspec.to_builtins(report)))
    else:
        for line in table(report):
            out.sentence(_shown(line))
    if before is not None:
        to = err if as_json else out
        for line in compared(before, report):
            to.sentence(line)


def _shown(line: str) -> str:
    """Return a line as the locale can show it."""
    try:
        "±".encode(out.encoding)
    except UnicodeError:
        return line.replace("±", "~")
    return line


def baseline(path: Path) -> Report:
    """Return the figures of an earlier bench; raises click.BadParameter."""
    try:
        return read_report(path)
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror or error}.", param_hint="--compare") from None
    except msgspec.MsgspecError as error:
        raise click.BadParameter(
            f"{path} is not what `subactors bench --json` writes: {error}.", param_hint="--compare"
        ) from None


def _drawn(report: Report, path: Path) -> bool:
    try:
        path.write_text(picture(report), encoding="utf-8")
    except OSError as error:
        warn(f"{path} cannot be written: {error.strerror or error}.")
        return False
    return True


def _show(step: str) -> None:
    """Show on a terminal what is measured next; an empty text takes it away."""
    if manner.verbose and step:
        logger.debug("%s.", step)
    elif err.is_terminal and not manner.quiet:
        columns = (err.columns or 80) - 1
        err.own(f"\r\x1b[K{step[:columns]}")


def _models(agent: AgentConfig) -> str:
    """Return what a task of the agent may cost, as a part of a sentence; empty if it is Python alone."""
    models = [model.reference for model in agent.models if not model.is_function]
    return f"and each asks {models[0]}, which may cost money" if models and agent.entrypoint is None else ""


def _value(word: str) -> object:
    """Return an argument of a function: what it is as JSON, or else the text itself."""
    try:
        return msgspec.json.decode(word)
    except msgspec.DecodeError:
        return word
