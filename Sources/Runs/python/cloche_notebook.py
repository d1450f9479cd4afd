"""Executes a notebook in place: python cloche_notebook.py FILE.ipynb

Prints the output of the cells as it arrives, keeps the file up to date while the cells run, and ends with 0 when all
of them succeeded, with 1 when one failed or the kernel died, and with 128 + n when signal n interrupted it.
"""
import asyncio
import logging
import os
import queue
import secrets
import shutil
import signal
import sys
import warnings

from _cloche.document import NotebookFile
from _cloche.failure import Failure
from _cloche.kernels import FENCES, PREPARATIONS, choose_kernel, import_tools, installed_kernels, named_kernel
from _cloche.kernels import prepare_jupyter, private_directory, uses_sockets
from _cloche.log import Log

INTERRUPT_GRACE = 2.0
START_TIMEOUT = 600
OUTPUT_GRACE = 60
LATE_OUTPUT_GRACE = 5


def main(arguments):
    if len(arguments) != 1:
        print("usage: cloche_notebook.py FILE.ipynb", file=sys.stderr)
        return 64
    directory = private_directory()
    log = Log()
    try:
        prepare_jupyter(directory)
        return asyncio.run(Execution(arguments[0], directory, log).run())
    except Failure as failure:
        log.line("cloche: {}".format(failure))
        return failure.code
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _make_client(nbclient, notebook, manager, log):
    class Client(nbclient.NotebookClient):
        """Passes every output on to the log before it is stored in the notebook."""

        numbered = False

        def process_message(self, msg, cell, cell_index):
            kind, content = msg["msg_type"], msg["content"]
            if kind == "execute_input":
                cell["execution_count"] = content.get("execution_count")
            elif kind == "stream":
                self.log_text(cell, content.get("text") or "")
            elif kind in ("execute_result", "display_data"):
                text = (content.get("data") or {}).get("text/plain")
                if text:
                    log.end_line()
                    self.log_text(cell, text if text.endswith("\n") else text + "\n")
            elif kind == "error" and "raises-exception" in (cell.metadata.get("tags") or []):
                log.end_line()
                self.log_text(cell, "\n".join(content.get("traceback") or []) + "\n")
            return super().process_message(msg, cell, cell_index)

        def log_text(self, cell, text):
            if text and not self.numbered:
                self.numbered = True
                log.end_line()
                log.write("[{}] ".format(cell.get("execution_count")))
            log.write(text)

    silent = logging.getLogger("cloche_notebook")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    client = Client(notebook, km=manager, timeout=None, iopub_timeout=OUTPUT_GRACE, record_timing=False)
    client.log = silent
    client.reset_execution_trackers()
    return client


class Execution:
    """One execution of one notebook."""

    def __init__(self, path, directory, log):
        self._path = path
        self._directory = directory
        self._log = log
        self._signal = None
        self._manager = None
        self._escalation = None
        self._fence = None

    async def run(self):
        jupyter_client, nbclient, nbformat, zmq = import_tools()
        warnings.simplefilter("ignore")
        file = NotebookFile(self._path, nbformat)
        notebook = file.notebook
        name, language = choose_kernel(notebook, installed_kernels(jupyter_client))
        asked = named_kernel(notebook)
        if asked not in (None, name):
            sentence = "cloche: the notebook names the kernel `{}`, and runs in this environment's `{}`"
            self._log.line(sentence.format(asked[:60], name))

        # Without a bound on waiting messages none is dropped while a cell prints faster than this program reads.
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.RCVHWM, 0)
        self._manager = jupyter_client.AsyncKernelManager(
            kernel_name=name,
            context=context,
            connection_file=os.path.join(self._directory, "kernel.json"),
        )
        if uses_sockets(language, self._directory):
            self._manager.transport = "ipc"
            self._manager.ip = os.path.join(self._directory, "socket")
        client = _make_client(nbclient, notebook, self._manager, self._log)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupt, number)

        for cell in notebook.cells:
            if cell.cell_type == "code" and not _is_skipped(cell):
                cell.outputs = []
                cell.execution_count = None
        try:
            await self._start(client)
            for index, cell in enumerate(notebook.cells):
                if self._signal is not None:
                    break
                if cell.cell_type == "code" and cell.source.strip() and not _is_skipped(cell):
                    file.write()
                    await self._execute(nbclient, client, cell, index)
        except Failure as failure:
            if self._signal is None:
                raise
            self._log.line("cloche: {}".format(failure))
        finally:
            _store_widgets(client)
            try:
                file.write()
            finally:
                await self._stop(client)
                context.destroy(linger=0)
        if self._signal is not None:
            raise Failure("interrupted by {}".format(signal.Signals(self._signal).name), 128 + self._signal)
        return 0

    async def _start(self, client):
        try:
            await self._manager.start_kernel(cwd=os.path.dirname(os.path.realpath(self._path)))
            client.kc = self._manager.client()
            client.kc.start_channels()
            # Nobody can answer; starting the channels has just allowed to ask.
            client.kc.allow_stdin = False
            await client.kc.wait_for_ready(timeout=START_TIMEOUT)
            message = await client.async_wait_for_reply(client.kc.kernel_info())
        except Exception as cause:
            raise Failure("the kernel did not start: {}{}".format(cause, await self._ending())) from None
        if message is not None and "language_info" in message["content"]:
            client.nb.metadata["language_info"] = message["content"]["language_info"]
            await self._prepare(client, message["content"].get("implementation"))

    async def _prepare(self, client, implementation):
        self._fence = FENCES.get(implementation)
        source = PREPARATIONS.get(implementation)
        if source is not None:
            # Where the kernel cannot do it, the cell that needs it says so.
            await client.async_wait_for_reply(client.kc.execute(source, silent=True, store_history=False))

    async def _execute(self, nbclient, client, cell, index):
        client.numbered = False
        try:
            try:
                await client.async_execute_cell(cell, index, store_history=True)
            finally:
                await self._take_late_output(client, cell, index)
        except nbclient.exceptions.CellExecutionError:
            self._log.line("An error occurred while executing the following cell:")
            rule = "------------------"
            self._log.line("{}\n{}\n{}\n".format(rule, cell.source.rstrip("\n"), rule))
            self._log.line(_traceback(cell))
            raise Failure("cell [{}] failed".format(cell.get("execution_count"))) from None
        except nbclient.exceptions.DeadKernelError:
            # A kernel that dies at once has not numbered the cell yet.
            cell["execution_count"] = number = cell.get("execution_count") or client.code_cells_executed
            if self._signal is not None:
                sentence = "cell [{}] did not stop when it was interrupted, so its kernel was killed".format(number)
            else:
                sentence = "the kernel died while cell [{}] was running{}".format(number, await self._ending())
            cell.outputs.append(_error_output("DeadKernelError", sentence))
            raise Failure(sentence) from None
        finally:
            self._log.end_line()

    async def _take_late_output(self, client, cell, index):
        """Waits for what a cell has shown that comes after the word that it is done."""
        if self._fence is None or self._signal is not None or not await self._manager.is_alive():
            return
        mark = secrets.token_hex(8)
        request = client.kc.execute(self._fence.replace("MARK", mark), silent=True, store_history=False)
        missing = self._fence.count("MARK")
        while missing > 0:
            try:
                message = await client.kc.iopub_channel.get_msg(timeout=LATE_OUTPUT_GRACE)
            except queue.Empty:
                return
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") == request:
                missing -= str(content.get("text")).count(mark) if kind == "stream" else 0
            elif kind != "status":
                client.process_message(message, cell, index)

    async def _ending(self):
        """Tells how the kernel ended, as the end of a sentence."""
        try:
            status = await self._manager.provisioner.poll()
        except Exception:
            return ""
        if status is None:
            return ""
        if status >= 0:
            return ": it ended with status {}".format(status)
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "signal {}".format(-status)
        cause = "; when memory is limited, that is the usual cause" if -status == signal.SIGKILL else ""
        return ": it was ended by {}{}".format(name, cause)

    def _interrupt(self, number):
        if self._signal is None:
            self._signal = number
            self._escalation = asyncio.ensure_future(self._interrupt_kernel())

    async def _interrupt_kernel(self):
        # A cell gets the chance to stop by itself, so that its output so far and the place where it was are kept.
        try:
            if self._manager is not None and self._manager.has_kernel:
                await self._manager.interrupt_kernel()
                await asyncio.sleep(INTERRUPT_GRACE)
                await self._manager.signal_kernel(signal.SIGKILL)
        except Exception:
            # The kernel has ended meanwhile.
            return

    async def _stop(self, client):
        if self._escalation is not None:
            self._escalation.cancel()
        try:
            if self._manager.has_kernel:
                alive = await self._manager.is_alive()
                await self._manager.shutdown_kernel(now=self._signal is not None or not alive)
        except Exception as cause:
            self._log.line("cloche: the kernel did not end as asked: {}".format(cause))
        finally:
            if client.kc is not None:
                client.kc.stop_channels()


def _error_output(name, sentence):
    from nbformat.v4 import new_output

    return new_output("error", ename=name, evalue=sentence, traceback=[sentence])


def _is_skipped(cell):
    return "skip" in (cell.metadata.get("tags") or [])


def _traceback(cell):
    for output in reversed(cell.outputs):
        if output.get("output_type") == "error":
            return "\n".join(output.get("traceback") or []) or "{}: {}".format(output.ename, output.evalue)
    return "the kernel told no cause"


def _store_widgets(client):
    try:
        client.set_widgets_metadata()
    except Exception:
        # The state of widgets is an extra: the outputs are worth more.
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
