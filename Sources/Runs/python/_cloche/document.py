"""A notebook on disk."""
import os
import tempfile

from _cloche.failure import Failure


class NotebookFile:
    """The notebook on disk, replaced as a whole at each write."""

    def __init__(self, path, nbformat):
        self._nbformat = nbformat
        self._path = os.path.realpath(path)
        self._written = None
        try:
            with open(self._path, "r", encoding="utf-8") as file:
                self.notebook = nbformat.read(file, as_version=4)
            self._mode = os.stat(self._path).st_mode & 0o7777
        except OSError as cause:
            raise Failure("cannot read the notebook `{}`: {}".format(path, cause.strerror or cause)) from None
        except Exception as cause:
            reason = (str(cause).splitlines() or [type(cause).__name__])[0][:300]
            raise Failure("`{}` is not a notebook: {}".format(path, reason)) from None

    def write(self):
        text = self._nbformat.writes(self.notebook, version=self._nbformat.NO_CONVERT) + "\n"
        # What cannot be encoded becomes an escape, which is valid inside a JSON string.
        data = text.encode("utf-8", "backslashreplace")
        if data == self._written:
            return
        directory, name = os.path.split(self._path)
        try:
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.chmod(temporary, self._mode)
                os.replace(temporary, self._path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as cause:
            raise Failure("cannot write the notebook `{}`: {}".format(name, cause.strerror or cause)) from None
        self._written = data
