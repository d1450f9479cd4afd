"""The log of a step."""
import sys


class Log:
    """The log of the step: the text of all outputs, each cell's preceded by its number."""

    def __init__(self):
        self._at_line_start = True

    def write(self, text):
        if not text:
            return
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
        self._at_line_start = text.endswith("\n")

    def end_line(self):
        if not self._at_line_start:
            self.write("\n")

    def line(self, text):
        self.end_line()
        self.write(text if text.endswith("\n") else text + "\n")
