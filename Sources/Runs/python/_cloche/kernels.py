"""Where Jupyter may write, and which kernel executes a notebook."""
import importlib.machinery
import json
import os
import sys
import tempfile

from _cloche.failure import Failure

# Addresses of UNIX sockets have 108 bytes; the names of the five sockets need the rest.
LONGEST_DIRECTORY = 80
# Kernels that are known to speak over UNIX sockets; the others get loopback TCP.
SOCKET_LANGUAGES = ("python", "r")
DEFAULT_KERNELS = {
    "python": ("python3",),
    "r": ("ir",),
    "javascript": ("javascript", "jslab", "deno"),
    # What the kernel of Deno calls the language of every notebook that it executed.
    "typescript": ("deno", "tslab", "javascript"),
}
# What notebooks rely on that other kernels of their language have from the start, by the kernel's own name. Deno's has no
# `require`, and shows what goes through `console` only.
PREPARATIONS = {
    "Deno kernel": """
globalThis.require ??= (await import("node:module")).createRequire(Deno.cwd() + "/notebook.js");
{
    const print = Deno[Deno.internal]?.core?.print;
    for (const [stream, isError] of print ? [[process.stdout, false], [process.stderr, true]] : []) {
        const decoder = new TextDecoder();
        stream._write = (chunk, encoding, done) => {
            print(decoder.decode(chunk, { stream: true }), isError);
            done();
        };
        stream._writev = null;
    }
}
""",
}
# Deno's kernel may say that a cell is done before it sends what the cell has shown. What is sent by the same two ways later
# comes behind all of that.
FENCES = {
    "Deno kernel": """
Deno[Deno.internal]?.core?.print("MARK", false);
await Deno.jupyter.broadcast("stream", { name: "stdout", text: "MARK" });
""",
}


def private_directory():
    """Makes a directory for the sockets and files of the kernel."""
    directory = tempfile.mkdtemp(prefix="nb-")
    if len(os.fsencode(directory)) > LONGEST_DIRECTORY and os.access("/tmp", os.W_OK):
        os.rmdir(directory)
        directory = tempfile.mkdtemp(prefix="nb-", dir="/tmp")
    return directory


def prepare_jupyter(directory):
    """Lets Jupyter write below `directory` only, and still find the kernels of the user."""
    home = os.path.expanduser("~")
    own_data = os.environ.get("JUPYTER_DATA_DIR") or os.path.join(
        os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share"), "jupyter"
    )
    searched = [path for path in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if path]
    data = os.path.join(directory, "data")
    # This Python's own kernel comes first: a kernel of that name elsewhere would run another interpreter.
    _write_kernel(os.path.join(data, "kernels", "python3"))
    os.environ["JUPYTER_PATH"] = os.pathsep.join([data] + searched + [own_data])
    os.environ["JUPYTER_DATA_DIR"] = data
    os.environ["JUPYTER_RUNTIME_DIR"] = os.path.join(directory, "run")
    os.environ["JUPYTER_CONFIG_DIR"] = os.path.join(directory, "config")
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    if "IPYTHONDIR" not in os.environ and not os.path.isdir(os.path.join(home, ".ipython")):
        os.environ["IPYTHONDIR"] = os.path.join(directory, "ipython")
    # The kernel would otherwise warn in the log that frozen modules cannot be debugged.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")


# A publishing socket drops what a slow reader has not taken, beyond a thousand messages: here outputs of cells.
_KERNEL = """
import logging
import sys
# As ipykernel_launcher has it: what lies in the working directory hides no modules of the kernel itself.
if sys.path[0] == "":
    del sys.path[0]
import zmq
# Nobody debugs here, and the debugger takes a fifth of the kernel's start. A notebook can still import it.
sys.modules["debugpy"] = None
from ipykernel.kernelapp import IPKernelApp
initialize = IPKernelApp.initialize
def initialize_without_debugger(self, argv=None):
    initialize(self, argv)
    del sys.modules["debugpy"]
IPKernelApp.initialize = initialize_without_debugger
logging.getLogger("IPKernelApp").addFilter(lambda record: "debugpy" not in record.getMessage())
# Old versions have none.
bounded = getattr(IPKernelApp, "init_iopub", None)
def unbounded(self, context):
    context.setsockopt(zmq.SNDHWM, 0)
    bounded(self, context)
if bounded:
    IPKernelApp.init_iopub = unbounded
IPKernelApp.launch_instance()
"""


def _write_kernel(directory):
    os.makedirs(directory)
    description = {
        "argv": [
            sys.executable,
            "-c",
            _KERNEL,
            "-f",
            "{connection_file}",
            # A history file would only be locked and lost.
            "--HistoryManager.hist_file=:memory:",
        ],
        "display_name": "Python 3",
        "language": "python",
        "metadata": {},
    }
    with open(os.path.join(directory, "kernel.json"), "w", encoding="utf-8") as file:
        json.dump(description, file)


def import_tools():
    """Returns the packages that execute notebooks, of which an environment may lack any."""
    # jupyter_client would import it, and with it IPython, to describe a kernel that is described here.
    sys.modules["ipykernel"] = None
    try:
        import jupyter_client
        import nbclient
        import nbformat
        import zmq
        import zmq.asyncio
    except ImportError as cause:
        raise Failure(
            "this environment cannot run notebooks ({}): add `pip install nbclient ipykernel` to its set-up "
            "script".format(cause)
        ) from None
    return jupyter_client, nbclient, nbformat, zmq


def choose_kernel(notebook, specs):
    """Returns the name and the language of the kernel for a notebook."""
    kernelspec = notebook.metadata.get("kernelspec") or {}
    info = notebook.metadata.get("language_info") or {}
    language = str(kernelspec.get("language") or info.get("name") or "").lower()
    languages = {name: str(spec.get("language") or "").lower() for name, spec in specs.items()}
    if language:
        names = [name for name in DEFAULT_KERNELS.get(language, ()) if name in specs]
        names += sorted((name for name in specs if languages[name] == language), reverse=True)
        if not names:
            raise Failure(
                "this environment has no kernel for `{}`; it has {}".format(
                    language[:60], ", ".join(sorted(specs)) or "none"
                )
            )
        name = names[0]
    elif kernelspec.get("name") in specs:
        name = kernelspec["name"]
    elif "python3" in specs:
        name = "python3"
    elif len(specs) == 1:
        name = next(iter(specs))
    else:
        raise Failure(
            "the notebook does not say its language, and this environment has {}".format(
                ", ".join(sorted(specs)) or "no kernel"
            )
        )
    return name, languages[name]


def named_kernel(notebook):
    """Returns the name of the kernel that a notebook asks for, in one line; None where it takes any."""
    name = " ".join(str((notebook.metadata.get("kernelspec") or {}).get("name") or "").split())
    # Orchest calls the kernel of an environment so, whichever it is.
    return None if not name or name.startswith("orchest-kernel-") else name


def installed_kernels(jupyter_client):
    """Returns the descriptions of the kernels that can be started, by name."""
    found = jupyter_client.kernelspec.KernelSpecManager().get_all_specs()
    specs = {name: entry["spec"] for name, entry in found.items()}
    if importlib.machinery.PathFinder.find_spec("ipykernel") is None:
        # Ours would be offered even where it cannot start.
        specs.pop("python3", None)
        if not specs:
            raise Failure("this environment has no kernel: add `pip install ipykernel` to its set-up script")
    return specs


def uses_sockets(language, directory):
    """Tells whether a kernel may listen on UNIX sockets in `directory`."""
    return language in SOCKET_LANGUAGES and len(os.fsencode(directory)) <= LONGEST_DIRECTORY
