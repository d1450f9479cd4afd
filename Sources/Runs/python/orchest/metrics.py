"""Metrics of a run: numbers by which runs are compared."""
import json
import math
import os
from datetime import datetime, timezone

from orchest import error
from orchest.config import Config

_LONGEST_NAME = 200
# Larger integers are not exact in every reader of JSON.
_LARGEST_INTEGER = 2 ** 53


def log_metric(name, value):
    """Records a number under a name; the last value of a name is the metric of the run.

    `name` is a text of 1 to 200 printable characters. `value` is a finite number: an int, a float, or whatever
    `float()` turns into one, such as a scalar of numpy. Raises `MetricError`.
    """
    line = json.dumps(
        {
            "name": _checked_name(name),
            "value": _checked_value(name, value),
            "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "step": os.environ.get("ORCHEST_STEP_UUID"),
        }
    )
    _append(Config.METRICS_PATH, (line + "\n").encode("ascii"))


def _checked_name(name):
    if not isinstance(name, str):
        raise error.MetricError("the name of a metric is a text, not {}".format(type(name).__name__))
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise error.MetricError(
            "the name of a metric has 1 to {} printable characters: {!r}".format(_LONGEST_NAME, name[:_LONGEST_NAME])
        )
    return name


def _checked_value(name, value):
    # A truth value or a text that looks like a number is nearly always a slip.
    if isinstance(value, (bool, str, bytes, bytearray)) or type(value).__name__ in ("bool_", "str_", "bytes_"):
        raise error.MetricError(
            "the metric `{}` needs a number, not {}: {!r}".format(name, type(value).__name__, value)[:400]
        )
    if isinstance(value, int) and abs(value) <= _LARGEST_INTEGER:
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as cause:
        raise error.MetricError(
            "the metric `{}` needs a number, not {}: {}".format(name, type(value).__name__, cause)
        ) from None
    if not math.isfinite(number):
        raise error.MetricError("the metric `{}` needs a finite number, not {}".format(name, number))
    return number


def _append(path, line):
    # Steps of a run may log at the same time: one appending write a line keeps the lines whole.
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
    except OSError as cause:
        raise error.MetricError(
            "cannot write metrics to `{}`: {}; outside of a run, set `ORCHEST_METRICS_PATH` to a file that "
            "may be written".format(path, cause.strerror or cause)
        ) from None
    if written != len(line):
        raise error.MetricError("cannot write metrics to `{}`: only a part fitted".format(path))
