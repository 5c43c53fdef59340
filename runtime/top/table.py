"""Table: the rows of the tree that are in sight, and nothing of the others, however many there are."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from .columns import ROOM, Columns, Drawer, chosen, style
from .listing import Listing, Row

__all__ = ["WHOLE", "Head", "Table"]

_EDGE = 2
"""Cells of a line that no column has: the scroll bar, and a gap before it."""

WHOLE = ROOM + _EDGE
"""Cells in which a table has all columns."""

_CURSOR = "reverse"
_CURSOR_ELSEWHERE = "bold"
"""The row that has the keys, and where another widget has them."""


class Head(Widget):
    """The headings of a table."""

    DEFAULT_CSS = "Head { height: 1; }"

    def __init__(self, drawer: Drawer) -> None:
        super().__init__()
        self._drawer = drawer
        self.columns = chosen(80)

    def render_line(self, y: int) -> Strip:
        """Return the headings."""
        del y
        return Strip(self._drawer.head(self.columns)).adjust_cell_length(self.size.width, style(""))


class Table(ScrollView, can_focus=True):
    """See the module.

    Attributes:
        row_id: the id of the row that has the keys; empty if there is none.

    Args:
        listing: what is shown.
        drawer: draws it.
        head: the headings above.
    """

    DEFAULT_CSS = "Table { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(-1)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
        Binding("left", "out", "Fold", show=False),
        Binding("right", "into", "Unfold", show=False),
        Binding("space", "fold", "fold"),
        Binding("enter", "open", "open", show=False),  # as `o` does; not all have room in 80 cells
    ]

    class Moved(Message):
        """Another row has the keys."""

    class Opened(Message):
        """The row that has the keys is wanted in full."""

    def __init__(self, listing: Listing, drawer: Drawer, head: Head) -> None:
        super().__init__()
        self.row_id = ""
        self._listing, self._drawer, self._head = listing, drawer, head
        self._place = 0
        self._columns: Columns = chosen(80)

    # --- what is shown ----------------------------------------------------------------------------------------------

    def laid_out(self) -> None:
        """Show the rows, which may have moved; the row that had the keys keeps them."""
        rows = self._listing.rows
        self.virtual_size = Size(max(1, self.size.width), len(rows))
        place = self._listing.place(self.row_id)
        if place is None:
            place = min(self._place, len(rows) - 1)
        elif place != self._place:
            # Rows above have come or gone: what is in sight stays where it is.
            offset = self.scroll_offset.y + place - self._place
            self.scroll_to(y=max(0, offset), animate=False, force=True, immediate=True)
        self._go_to(place)
        self.refresh()

    def changed(self, ids: set[str]) -> None:
        """Draw those rows anew that are in sight."""
        rows = self._listing.rows
        top = self.scroll_offset.y
        in_sight = range(top, min(len(rows), top + self.size.height))
        changed = [place for place in in_sight if rows[place].id in ids]
        if len(changed) > len(in_sight) / 2:
            self.refresh()  # at once they cost less than one by one
            return
        for place in changed:
            self.refresh_line(place)

    def on_resize(self, event: Resize) -> None:
        """Choose the columns anew."""
        self._columns = self._head.columns = chosen(max(1, event.size.width - _EDGE))
        self._head.refresh()
        self.virtual_size = Size(max(1, event.size.width), len(self._listing.rows))
        self.call_after_refresh(self._show_cursor)

    def render_line(self, y: int) -> Strip:
        """Return a row that is in sight."""
        place = self.scroll_offset.y + y
        width = self.size.width
        if place >= len(self._listing.rows):
            return Strip.blank(width, style(""))
        row = self._listing.rows[place]
        is_current = row.id == self.row_id
        marked = (_CURSOR if self.has_focus else _CURSOR_ELSEWHERE) if is_current else ""
        segments = self._drawer.row(row, self._columns, marked)
        return Strip(segments).adjust_cell_length(width, style(marked))

    # --- the row that has the keys ----------------------------------------------------------------------------------

    @property
    def row(self) -> Row | None:
        """The row that has the keys; None if there is none."""
        rows = self._listing.rows
        return rows[self._place] if 0 <= self._place < len(rows) else None

    def go_to(self, row_id: str) -> None:
        """Give the keys to a row, if it is shown."""
        place = self._listing.place(row_id)
        if place is not None:
            self._go_to(place)

    def _go_to(self, place: int) -> None:
        rows = self._listing.rows
        before, before_place = self.row_id, self._place
        self._place = max(0, min(place, len(rows) - 1))
        self.row_id = rows[self._place].id if rows else ""
        self._show_cursor()
        if self.row_id != before:
            self.refresh_line(before_place)
            self.refresh_line(self._place)
            self.post_message(self.Moved())

    def _show_cursor(self) -> None:
        """Scroll to the row that has the keys, if it is out of sight."""
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self._place < top:
            self.scroll_to(y=self._place, animate=False, force=True, immediate=True)
        elif self._place >= top + height:
            self.scroll_to(y=self._place - height + 1, animate=False, force=True, immediate=True)

    def _fold(self, folds: bool) -> None:
        self._listing.fold(self.row_id, folds)
        self._listing.lay_out()
        self.laid_out()

    def action_move(self, step: int) -> None:
        """Go so many rows down."""
        self._go_to(self._place + step)

    def action_page(self, step: int) -> None:
        """Go so many screens down."""
        self._go_to(self._place + step * max(1, self.size.height - 1))

    def action_end(self, step: int) -> None:
        """Go to the first row, or to the last."""
        self._go_to(0 if step < 0 else len(self._listing.rows) - 1)

    def action_fold(self) -> None:
        """Hide what is below the row, or show it."""
        if self.row is not None and self.row.children:
            self._fold(not self._listing.is_folded(self.row_id))

    def action_out(self) -> None:
        """Hide what is below the row; if nothing is, go to the row that it is below."""
        if self.row is not None and self.row.children and not self._listing.is_folded(self.row_id):
            self._fold(True)
        elif self.row is not None and (owner := self._listing.owner(self._place)) is not None:
            self._go_to(owner)

    def action_into(self) -> None:
        """Show what is below the row; if that is shown, go there."""
        if self.row is not None and self.row.children:
            if self._listing.is_folded(self.row_id):
                self._fold(False)
            else:
                self._go_to(self._place + 1)

    def action_open(self) -> None:
        """Have it shown in full."""
        self.post_message(self.Opened())

    def on_click(self, event: Click) -> None:
        """Go to the row; fold it, where its sign was met."""
        place = self.scroll_offset.y + event.y
        if place >= len(self._listing.rows):
            return
        was_there = place == self._place
        self._go_to(place)
        row = self._listing.rows[place]
        if row.children and event.x <= 2 * row.level + 1:
            self.action_fold()
        elif was_there:
            self.action_open()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the row in another style."""
        super().watch_has_focus(has_focus)
        self.refresh_line(self._place)
