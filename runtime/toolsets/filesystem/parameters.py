"""Parameters: the arguments of the filesystem tools, as the model sees them; only shapes and their descriptions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ..base import ToolParameters

__all__ = [
    "DirectoryTreeParameters",
    "Edit",
    "EditFileParameters",
    "ListDirectoryParameters",
    "PathsParameters",
    "ReadFileParameters",
    "ReadMultipleFilesParameters",
    "SearchFilesContentParameters",
    "WriteFileParameters",
]

_MOST_PATHS = 50


_FILE = msgspec.Meta(description="The file: relative to the working directory, or absolute.")
_FOLDER = msgspec.Meta(
    description="The folder: relative to the working directory, or absolute. Default: the working directory."
)


class ReadFileParameters(ToolParameters, frozen=True):
    """The parameters of `read_file`."""

    path: Annotated[str, _FILE]
    offset: Annotated[int, msgspec.Meta(ge=1, description="The first line to read, from 1. Default: 1.")] = 1
    limit: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, msgspec.Meta(description="How many lines to read. Default: all.")
    ] = None


class ReadMultipleFilesParameters(ToolParameters, frozen=True):
    """The parameters of `read_multiple_files`."""

    paths: Annotated[
        list[str], msgspec.Meta(min_length=1, max_length=_MOST_PATHS, description="The files, in the order wanted.")
    ]


class WriteFileParameters(ToolParameters, frozen=True):
    """The parameters of `write_file`."""

    path: Annotated[str, _FILE]
    content: Annotated[str, msgspec.Meta(description="The whole new content.")]


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One edit of `edit_file`."""

    old_text: Annotated[str, msgspec.Meta(description="Text that occurs exactly once in the file, copied exactly.")]
    new_text: Annotated[str, msgspec.Meta(description="What takes its place.")]


class EditFileParameters(ToolParameters, frozen=True):
    """The parameters of `edit_file`."""

    path: Annotated[str, _FILE]
    edits: Annotated[
        list[Edit],
        msgspec.Meta(min_length=1, description="The edits, {oldText, newText} each, made one after the other."),
    ]


class ListDirectoryParameters(ToolParameters, frozen=True):
    """The parameters of `list_directory`."""

    path: Annotated[str, _FOLDER] = "."


class DirectoryTreeParameters(ToolParameters, frozen=True):
    """The parameters of `directory_tree`."""

    path: Annotated[str, _FOLDER] = "."
    max_depth: Annotated[int, msgspec.Meta(ge=1, le=50, description="How many levels to show. Default: 10.")] = 10


class SearchFilesContentParameters(ToolParameters, frozen=True, rename="camel"):
    """The parameters of `search_files_content`."""

    query: Annotated[str, msgspec.Meta(description="Text to find within a line; upper and lower case differ.")]
    path: Annotated[
        str,
        msgspec.Meta(description="A folder to search with all below it, or one file. Default: the working directory."),
    ] = "."
    is_regex: Annotated[bool, msgspec.Meta(description="Whether the query is a Python regular expression.")] = (
        msgspec.field(default=False, name="is_regex")
    )
    exclude_patterns: Annotated[
        list[str], msgspec.Meta(description="Globs of file names, folder names or relative paths to leave out.")
    ] = msgspec.field(default_factory=list)


class PathsParameters(ToolParameters, frozen=True):
    """The parameters of `create_directory` and `remove_directory`."""

    paths: Annotated[list[str], msgspec.Meta(min_length=1, max_length=_MOST_PATHS, description="The folders.")]
