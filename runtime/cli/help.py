"""Help: commands in groups, an example for each, nothing cut; and the nearest right word for a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from ..text import broken
from .manner import manner_options
from .words import nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["OTHER_NAMES", "Command", "Commands", "command", "usage_message"]

_WORDS: Final = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
"""Words of a command line, with their quotation marks."""

OTHER_NAMES: Final = {
    **dict.fromkeys(("help", "man", "usage"), "--help"),
    "version": "--version",
    **dict.fromkeys(("list", "ls", "tasks"), "ps"),
    **dict.fromkeys(("kill", "cancel", "abort", "interrupt"), "stop"),
    **dict.fromkeys(("show", "inspect", "get", "result"), "view"),
    **dict.fromkeys(("start", "exec", "ask"), "run"),
    **dict.fromkeys(("attach", "tail"), "logs"),
    **dict.fromkeys(("send", "say", "steer"), "tell"),
    **dict.fromkeys(("new", "create"), "init"),
    **dict.fromkeys(("rm", "remove", "clean"), "prune"),
    **dict.fromkeys(("validate", "lint"), "check"),
    **dict.fromkeys(("continue", "retry"), "resume"),
    "history": "runs",
    "serve": "mcp",
}
"""What other programs call options and commands of this one."""

_WHOLE: Final = 10_000
"""Characters of a command's first sentence that are shown: all of it."""


class Command(click.Command):
    """A command with examples, and with the options that every command has.

    Args:
        examples: command lines, each with a comment or without.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.extend(manner_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then those of every command, then the examples."""
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        common = [param for param in params if not param.expose_value]
        for title, options in (
            ("Options", [param for param in params if param not in common]),
            ("Options of every command", common),
        ):
            rows = [row for param in options if (row := param.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    for line in _fitting(example, formatter.width - formatter.current_indent):
                        formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _fitting(example: str, width: int) -> list[str]:
    """Return the lines of an example: one, or else its comment, and the command in lines that a shell takes for one."""
    if len(example) <= width:
        return [example]
    line, _, comment = example.partition(" # ")
    words = _WORDS.findall(line)
    lines = broken(f"# {comment}", width, "# ").split("\n") if comment else []
    lines += [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + len("  \\") > width:
            lines[-1] += " \\"
            lines.append(f"    {word}")
        else:
            lines[-1] += f" {word}"
    return lines


def command(*, examples: Sequence[str], **more: Any) -> Callable[[Callable[..., int]], Command]:
    """Return a decorator that makes a command of a function."""
    return click.command(cls=Command, examples=examples, **more)


class Commands(click.Group):
    """Commands in groups, each told in a whole sentence.

    Args:
        sections: the commands, by the title of their group; in the order of the help.
    """

    command_class = Command

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = {title: [str(each.name) for each in commands] for title, commands in sections.items()}
        self.params.extend(manner_options())
        for commands in sections.values():
            for each in commands:
                self.add_command(each)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the help."""
        listed = [name for names in self._sections.values() for name in names]
        return [*listed, *(name for name in super().list_commands(ctx) if name not in listed)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups."""
        listed = {name for names in self._sections.values() for name in names}
        rest = [name for name in self.list_commands(ctx) if name not in listed]
        width = max(map(len, self.commands))
        for title, names in {**self._sections, "More": rest}.items():
            rows = [(f"{name:{width}}", self.commands[name].get_short_help_str(_WHOLE)) for name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        formatter.write("\n")
        formatter.write_text(f"`{ctx.command_path} COMMAND --help` has the options of a command, and examples.")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return commands, each with its whole first sentence, and options."""
        found = super().shell_complete(ctx, incomplete)
        for item in found:
            if item.value in self.commands:
                item.help = self.commands[item.value].get_short_help_str(_WHOLE)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command by its name; raises click.UsageError, with the nearest name, if there is none."""
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing and not name.startswith("-"):
            raise click.UsageError(
                f"No such command {name!r}.{nearest(name, self.list_commands(ctx), OTHER_NAMES)}", ctx
            )
        return super().resolve_command(ctx, args)


def usage_message(error: click.ClickException) -> str:
    """Return what is wrong with a command line, in sentences."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        options = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts]
        return f"No such option {error.option_name!r}.{nearest(error.option_name, options)}"
    if isinstance(error, click.BadParameter) and type(error) is click.BadParameter and error.param is not None:
        return f"{error.param.get_error_hint(error.ctx)}: {error.message}"
    return error.format_message()
