"""Handing data from step to step through files of the run.

A step has one output, in `.orchest/pipelines/<pipeline>/data/<step>/`: the file `HEAD` says when it was written, how it
is serialized and what it is called; the data is in `<step>.<SERIALIZATION>` beside it.
"""
import os
import pickle
import sys
import tempfile
import warnings
from collections import defaultdict
from datetime import datetime, timezone
from enum import Enum

from orchest import error
from orchest.config import Config
from orchest.utils import checked_uuid, get_pipeline, get_pipeline_uuid, get_step_uuid


class Serialization(Enum):
    """How the data of an output was turned into bytes."""

    ARROW_TABLE = 0
    ARROW_BATCH = 1
    PICKLE = 2


_calls = {"output": 0, "get_inputs": 0}


def output(data, name):
    """Outputs data for the steps that follow.

    `name` is the key under which they find it in `get_inputs()`; None puts it into the list `unnamed`. A step has one
    output: calling again replaces it, whatever the names. Raises `DataInvalidNameError`, `SerializationError`.
    """
    output_to_disk(data, name)


def output_to_memory(data, name, disk_fallback=True):
    """Outputs data as `output` does: on disk, which the system keeps in memory as far as it can."""
    print("orchest: output_to_memory writes to disk, as output does", file=sys.stderr, flush=True)
    output_to_disk(data, name)


def output_to_disk(data, name, serialization=None):
    """Outputs data as `output` does.

    With `serialization`, `data` are bytes that are serialized already.
    """
    _check_name(name)
    if serialization is not None and not isinstance(serialization, Serialization):
        raise ValueError(
            "`serialization` is a member of orchest.transfer.Serialization, not {!r}".format(serialization)
        )
    _warn_of_second_call("output", "replaces the first output of the step, even if the names differ")

    pipeline = get_pipeline()
    step_uuid = get_step_uuid(pipeline)
    directory = Config.get_step_data_dir(step_uuid, get_pipeline_uuid(pipeline))
    os.makedirs(directory, exist_ok=True)

    if serialization is None:
        serialization = _kind(data)
        write = _WRITERS[serialization]
    else:
        write = _write_bytes

    def write_data(file):
        try:
            write(data, file)
        except OSError:
            raise
        except Exception as cause:
            raise error.SerializationError(
                "the output, of type `{}`, cannot be serialized: {}".format(type(data).__name__, cause)
            ) from cause

    _replace(os.path.join(directory, "{}.{}".format(step_uuid, serialization.name)), write_data)
    head = Config._METADATA_SEPARATOR.join(
        [
            datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds"),
            serialization.name,
            Config._RESERVED_UNNAMED_OUTPUTS_STR if name is None else name,
        ]
    )
    _replace(os.path.join(directory, "HEAD"), lambda file: file.write(head.encode("utf-8", "surrogatepass")))
    _remove_other_kinds(directory, step_uuid, serialization)


def get_inputs(ignore_failure=False, verbose=False):
    """Returns what the steps before this one have output.

    Named data is found under its name; the list under `unnamed`, which is always there, has the rest in the order of
    the incoming connections. With `ignore_failure`, data whose file is gone is None; a step that never called `output`
    is an error all the same. Raises `OutputNotFoundError`, `InputNameCollisionError`, `DeserializationError`.
    """
    _warn_of_second_call("get_inputs", "reads the data again; keep what the first call returned")
    pipeline = get_pipeline()
    pipeline_uuid = get_pipeline_uuid(pipeline)
    parents = pipeline.get_step_by_uuid(get_step_uuid(pipeline)).parents

    found = []
    titles = defaultdict(list)
    for parent in parents:
        kind, name = _read_head(parent, pipeline_uuid)
        found.append((parent, kind, name))
        if name != Config._RESERVED_UNNAMED_OUTPUTS_STR:
            titles[name].append(_title(parent))
    collisions = ["`{}` from {}".format(name, " and ".join(sorted(of))) for name, of in titles.items() if len(of) > 1]
    if collisions:
        raise error.InputNameCollisionError("inputs of one name come from several steps: " + "; ".join(collisions))

    inputs = {Config._RESERVED_UNNAMED_OUTPUTS_STR: []}
    for parent, kind, name in found:
        try:
            data = _read_data(parent, pipeline_uuid, kind)
            if verbose:
                print("orchest: got the output of {}".format(_title(parent)), flush=True)
        except error.OutputNotFoundError:
            if not ignore_failure:
                raise
            data = None
            if verbose:
                print("orchest: the output of {} is missing".format(_title(parent)), flush=True)
        if name == Config._RESERVED_UNNAMED_OUTPUTS_STR:
            inputs[name].append(data)
        else:
            inputs[name] = data
    return inputs


def _check_name(name):
    if name is None:
        return
    if not isinstance(name, str):
        raise error.DataInvalidNameError(
            "the name of an output is a text or None, not {}".format(type(name).__name__)
        )
    if name == Config._RESERVED_UNNAMED_OUTPUTS_STR:
        raise error.DataInvalidNameError("the name `{}` is reserved".format(name))
    if Config._METADATA_SEPARATOR in name:
        raise error.DataInvalidNameError(
            "the name of an output must not contain {!r}: {!r}".format(Config._METADATA_SEPARATOR, name)
        )


def _warn_of_second_call(function, consequence):
    _calls[function] += 1
    if _calls[function] > 1 and not Config.silence_multiple_data_transfer_calls_warning:
        warnings.warn(
            "{} was called more than once in this step, which {}; "
            "Config.silence_multiple_data_transfer_calls_warning = True silences this".format(function, consequence),
            RuntimeWarning,
            stacklevel=3,
        )


def _kind(data):
    # Data can only be Arrow's when its module was imported already, so nothing is imported here.
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        if isinstance(data, getattr(arrow, "Table", ())):
            return Serialization.ARROW_TABLE
        if isinstance(data, getattr(arrow, "RecordBatch", ())):
            return Serialization.ARROW_BATCH
    return Serialization.PICKLE


def _write_arrow(data, file):
    import pyarrow

    with pyarrow.RecordBatchStreamWriter(file, data.schema) as writer:
        writer.write(data)


def _write_pickle(data, file):
    pickle.dump(data, file)


def _write_bytes(data, file):
    file.write(data)


_WRITERS = {
    Serialization.ARROW_TABLE: _write_arrow,
    Serialization.ARROW_BATCH: _write_arrow,
    Serialization.PICKLE: _write_pickle,
}


def _replace(path, write):
    """Replaces a file at once, so that a reader finds the old or the new one and never a part."""
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o664)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _remove_other_kinds(directory, step_uuid, kept):
    for kind in Serialization:
        if kind is not kept:
            try:
                os.unlink(os.path.join(directory, "{}.{}".format(step_uuid, kind.name)))
            except OSError:
                # What is left over costs space only: HEAD no longer names it.
                pass


def _title(step):
    return "`{}` ({})".format(step.properties.get("title") or "unnamed step", step.properties["uuid"])


def _read_head(step, pipeline_uuid):
    uuid = checked_uuid(step.properties["uuid"], "step")
    path = os.path.join(Config.get_step_data_dir(uuid, pipeline_uuid), "HEAD")
    try:
        with open(path, "rb") as file:
            head = file.read().decode("utf-8", "surrogatepass")
    except (FileNotFoundError, NotADirectoryError):
        raise error.DiskOutputNotFoundError(
            "the step {} has no output: it has not run, or did not call orchest.output".format(_title(step))
        ) from None
    except ValueError:
        raise error.InvalidMetaDataError("`{}` is not text".format(path)) from None
    parts = head.split(Config._METADATA_SEPARATOR)
    if len(parts) != 3:
        raise error.InvalidMetaDataError("`{}` has {} parts instead of 3".format(path, len(parts)))
    time, kind, name = parts
    try:
        datetime.fromisoformat(time)
    except ValueError:
        raise error.InvalidMetaDataError("`{}` begins with no time: {!r}".format(path, time[:40])) from None
    if kind not in Serialization.__members__:
        raise error.InvalidMetaDataError("`{}` names an unknown serialization: {!r}".format(path, kind[:40]))
    return Serialization[kind], name


def _read_data(step, pipeline_uuid, kind):
    uuid = step.properties["uuid"]
    path = os.path.join(Config.get_step_data_dir(uuid, pipeline_uuid), "{}.{}".format(uuid, kind.name))
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        raise error.DiskOutputNotFoundError(
            "the data that the step {} has output is gone: `{}`".format(_title(step), path)
        ) from None
    try:
        with file:
            return pickle.load(file) if kind is Serialization.PICKLE else _read_arrow(path, kind)
    except error.DeserializationError:
        raise
    except Exception as cause:
        raise error.DeserializationError(
            "the output of the step {} cannot be read: {}: {}".format(_title(step), type(cause).__name__, cause)
        ) from cause


def _read_arrow(path, kind):
    try:
        import pyarrow
    except ImportError:
        raise error.DeserializationError(
            "an input is Arrow data and this environment has no pyarrow; "
            "add `pip install pyarrow` to the set-up script of the environment"
        ) from None
    with pyarrow.memory_map(path, "rb") as file, pyarrow.ipc.open_stream(file) as stream:
        if kind is Serialization.ARROW_TABLE:
            return stream.read_all()
        return stream.read_next_batch()
