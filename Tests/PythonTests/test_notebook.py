"""What authors rely on when a notebook is a step."""
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import types
import unittest

from steps import FIRST, PYTHON_DIRECTORY, Run

RUNNER = os.path.join(PYTHON_DIRECTORY, "cloche_notebook.py")
ORCHEST_KERNEL = "orchest-kernel-0aa1d2c4-5f0e-4a8e-9b36-7c1f2d3e4a5b"
MISSING = [name for name in ("nbclient", "nbformat", "ipykernel") if importlib.util.find_spec(name) is None]


def cell(source, *tags):
    return {
        "cell_type": "code",
        "id": "c{}".format(abs(hash(source)) % 10 ** 8),
        "metadata": {"tags": list(tags)} if tags else {},
        "execution_count": 77,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "stale"}],
        "source": source,
    }


class NotebookTestCase(unittest.TestCase):
    def setUp(self):
        self.run_ = Run()
        self.addCleanup(self.run_.remove)
        self.path = os.path.join(self.run_.directory, "book.ipynb")
        self.temporary = os.path.join(self.run_.directory, "tmp")
        os.mkdir(self.temporary)

    def write(self, *cells, **metadata):
        metadata = metadata or {"kernelspec": {"name": ORCHEST_KERNEL, "display_name": "Other", "language": "python"}}
        book = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(book, file)

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            return json.load(file)

    def start(self, **changes):
        return subprocess.Popen(
            [sys.executable, RUNNER, self.path],
            env=self.run_.environment(FIRST, TMPDIR=self.temporary, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
        )

    def execute(self, expected=0, **changes):
        process = self.start(**changes)
        log, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, expected, log.decode())
        self.assert_nothing_is_left()
        return log.decode()

    def assert_nothing_is_left(self):
        self.assertEqual(os.listdir(self.temporary), [])
        self.assertEqual([name for name in os.listdir(self.run_.directory) if name.endswith(".part")], [])


class Kernels(unittest.TestCase):
    def setUp(self):
        sys.path.insert(0, PYTHON_DIRECTORY)
        self.addCleanup(sys.path.remove, PYTHON_DIRECTORY)

    def choose(self, metadata, **languages):
        from _cloche.kernels import choose_kernel

        notebook = types.SimpleNamespace(metadata=metadata)
        return choose_kernel(notebook, {name: {"language": language} for name, language in languages.items()})[0]

    def test_the_language_decides_and_not_the_name(self):
        r = {"kernelspec": {"name": "python3", "language": "R"}}
        self.assertEqual(self.choose(r, python3="python", ir="R"), "ir")
        self.assertEqual(self.choose(r, python3="python", own="R"), "own")
        julia = {"kernelspec": {"name": "x", "language": "julia"}}
        self.assertEqual(self.choose(julia, **{"julia-1.7": "julia", "julia-1.9": "julia"}), "julia-1.9")

    def test_a_notebook_in_javascript_runs_again_when_deno_has_called_it_typescript(self):
        kernels = {"python3": "python", "javascript": "javascript"}
        notebook = {"kernelspec": {"name": "javascript", "language": "javascript"}, "language_info": {"name": "typescript"}}
        self.assertEqual(self.choose(notebook, **kernels), "javascript")
        del notebook["kernelspec"]
        self.assertEqual(self.choose(notebook, **kernels), "javascript")

    def test_without_a_language(self):
        self.assertEqual(self.choose({"kernelspec": {"name": "b"}}, a="x", b="y", python3="python"), "b")
        self.assertEqual(self.choose({}, ir="R", python3="python"), "python3")
        self.assertEqual(self.choose({}, ir="R"), "ir")
        with self.assertRaises(Exception) as caught:
            self.choose({}, ir="R", other="x")
        self.assertIn("ir, other", str(caught.exception))


class WithoutTools(NotebookTestCase):
    def test_missing_tools_are_one_line_with_a_hint(self):
        self.write(cell("1"))
        before = self.read()
        code = (
            "import sys, runpy\n"
            "sys.modules['nbclient'] = None\n"
            "sys.argv = ['x', {!r}]\n"
            "runpy.run_path({!r}, run_name='__main__')"
        )
        result = self.run_.step(FIRST, code.format(self.path, RUNNER))
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(len(result.stdout.splitlines()), 1)
        self.assertIn("pip install nbclient ipykernel", result.stdout)
        self.assertEqual(result.stderr, "")
        self.assertEqual(self.read(), before)


@unittest.skipIf(MISSING, "not installed: {}".format(", ".join(MISSING)))
class Execution(NotebookTestCase):
    def test_the_log_has_the_text_of_the_outputs_by_cell(self):
        self.write(
            cell("print('a', end='')\n1 + 1"),
            cell("x = 3"),
            cell("import sys; print('out', flush=True); print('err', file=sys.stderr)"),
            cell("x"),
        )
        log = self.execute()
        self.assertTrue(log.startswith("[1] a\n2\n[3] "), log)
        self.assertEqual(sorted(log[len("[1] a\n2\n[3] ") :].splitlines()[:2]), ["err", "out"])
        self.assertTrue(log.endswith("\n[4] 3\n"), log)

    def test_the_kernel_starts_without_a_debugger_and_a_notebook_can_have_it(self):
        self.write(cell("import sys; print('debugpy' in sys.modules)"), cell("import debugpy; print(debugpy.__name__)"))
        self.assertEqual(self.execute(), "[1] False\n[2] debugpy\n")

    def test_results_are_in_the_file_and_the_kernelspec_stays(self):
        self.write(cell("6 * 7"), {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# t"})
        os.chmod(self.path, 0o640)
        self.execute()
        book = self.read()
        self.assertEqual(book["cells"][0]["outputs"][0]["data"]["text/plain"], "42".splitlines())
        self.assertEqual(book["cells"][0]["execution_count"], 1)
        self.assertEqual(book["metadata"]["kernelspec"]["name"], ORCHEST_KERNEL)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o640)

    def test_cells_tagged_skip_are_left_alone(self):
        self.write(cell("print(1)", "skip"), cell("print(2)"))
        self.assertEqual(self.execute(), "[1] 2\n")
        self.assertEqual(self.read()["cells"][0]["execution_count"], 77)

    def test_a_cell_that_fails_keeps_its_outputs_and_those_after_it_have_none(self):
        self.write(cell("print('one')"), cell("print('before')\nraise ValueError('boom')"), cell("print('three')"))
        log = self.execute(expected=1)
        self.assertIn("[2] before\nAn error occurred while executing the following cell:\n", log)
        self.assertIn("boom", log)
        cells = self.read()["cells"]
        self.assertEqual([output["output_type"] for output in cells[1]["outputs"]], ["stream", "error"])
        self.assertEqual(cells[1]["execution_count"], 2)
        self.assertEqual((cells[2]["outputs"], cells[2]["execution_count"]), ([], None))

    def test_an_expected_error_is_no_failure(self):
        self.write(cell("1 / 0", "raises-exception"), cell("print('on')"))
        log = self.execute()
        self.assertIn("ZeroDivisionError", log)
        self.assertTrue(log.endswith("[2] on\n"), log)

    def test_a_cell_that_asks_for_input_fails_at_once(self):
        for source in ("input('name? ')", "import getpass; getpass.getpass()"):
            with self.subTest(source=source):
                self.write(cell(source), cell("print('never')"))
                log = self.execute(expected=1)
                self.assertIn("StdinNotImplementedError", log)
                self.assertIn("cell [1] failed", log)
                self.assertEqual(self.read()["cells"][1]["outputs"], [])

    def test_a_kernel_that_dies_ends_the_step_with_a_sentence(self):
        for code, words in (
            ("import os; os._exit(3)", "it ended with status 3"),
            ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ):
            with self.subTest(code=code):
                self.write(cell("print(1)"), cell(code))
                log = self.execute(expected=1)
                self.assertIn("the kernel died while cell [2] was running", log)
                self.assertIn(words, log)
                self.assertEqual(self.read()["cells"][1]["outputs"][-1]["ename"], "DeadKernelError")
                self.assertEqual(self.read()["cells"][0]["outputs"][0]["text"], ["1\n"])

    def test_a_signal_interrupts_and_the_file_is_written(self):
        waiting = "print('go', flush=True)\nimport threading\nthreading.Event().wait()"
        stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + waiting
        for number, code in ((signal.SIGTERM, waiting), (signal.SIGINT, waiting), (signal.SIGTERM, stubborn)):
            with self.subTest(number=number, code=code):
                self.write(cell(code), cell("print('never')"))
                process = self.start()
                self.assertEqual(process.stdout.read(7), b"[1] go\n")
                process.send_signal(number)
                log, _ = process.communicate(timeout=30)
                self.assertEqual(process.returncode, 128 + number, log)
                first, second = self.read()["cells"]
                self.assertEqual([output["output_type"] for output in first["outputs"]], ["stream", "error"])
                self.assertEqual(second["outputs"], [])
                self.assert_nothing_is_left()

    def test_output_appears_while_the_cell_runs(self):
        gate = os.path.join(self.run_.directory, "gate")
        os.mkfifo(gate)
        self.write(cell("print('first', flush=True)\nopen({!r}).read()\nprint('second')".format(gate)))
        process = self.start()
        self.assertEqual(process.stdout.read(10), b"[1] first\n")
        with open(gate, "w"):
            pass
        self.assertIn(b"second\n", process.communicate(timeout=60)[0])

    def test_the_file_holds_the_cells_done_while_the_next_runs(self):
        gate = os.path.join(self.run_.directory, "gate")
        os.mkfifo(gate)
        self.write(cell("print('done')"), cell("print('on', flush=True)\nopen({!r}).read()".format(gate)))
        process = self.start()
        self.assertEqual(process.stdout.read(16), b"[1] done\n[2] on\n")
        self.assertEqual(self.read()["cells"][0]["outputs"][0]["text"], ["done\n"])
        self.assertEqual(self.read()["cells"][1]["outputs"], [])
        with open(gate, "w"):
            pass
        process.communicate(timeout=60)

    def test_a_flood_of_outputs_is_complete(self):
        self.write(cell("from IPython.display import display\nfor i in range(3000): display(i)"), cell("'end'"))
        self.assertEqual(self.execute().splitlines()[-2:], ["2999", "[2] 'end'"])
        self.assertEqual(len(self.read()["cells"][0]["outputs"]), 3000)

    def test_a_flood_of_outputs_is_complete_though_its_reader_is_held_up(self):
        text = "from IPython.display import display\nfor i in range(3000): display('%05d' % i + 'x' * 3000)"
        self.write(cell(text + "\nprint()"), cell("'end'"))
        process = self.start()
        process.stdout.read(16)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=60)
        outputs = [output for output in self.read()["cells"][0]["outputs"] if output["output_type"] == "display_data"]
        self.assertEqual([output["data"]["text/plain"][0][1:6] for output in outputs], ["%05d" % i for i in range(3000)])

    def test_code_runs_in_the_directory_of_the_notebook_with_this_python(self):
        self.write(cell("import os, sys; print(os.getcwd()); print(sys.executable)"))
        real = os.path.realpath(self.run_.directory)
        self.assertEqual(self.execute(), "[1] {}\n{}\n".format(real, sys.executable))

    def test_a_notebook_is_a_step(self):
        self.write(cell("import orchest; print(orchest.get_step_param('shared')); orchest.log_metric('m', 1)"))
        self.assertEqual(self.execute(), "[1] step of first\n")
        self.assertTrue(os.path.exists(self.run_.metrics))

    def test_kernels_are_chosen_by_language(self):
        self.write(cell("print(1)"), language_info={"name": "python"})
        self.assertEqual(self.execute(), "[1] 1\n")
        self.write(cell("print(1)"), other={})
        self.assertEqual(self.execute(), "[1] 1\n")
        self.write(cell("print(1)"), kernelspec={"name": "python3", "display_name": "J", "language": "cobol"})
        self.assertIn("no kernel for `cobol`", self.execute(expected=1))

    def test_a_kernel_that_is_not_there_is_named_beside_the_one_that_runs_instead(self):
        self.write(cell("print(1)"), kernelspec={"name": "no\nkernel", "display_name": "K", "language": "python"})
        line = "cloche: the notebook names the kernel `no kernel`, and runs in this environment's `python3`\n"
        self.assertEqual(self.execute(), line + "[1] 1\n")
        self.write(cell("print(1)"), kernelspec={"name": "python3", "display_name": "P", "language": "python"})
        self.assertEqual(self.execute(), "[1] 1\n")

    def test_a_home_that_cannot_be_written(self):
        self.write(cell("print(1)"))
        self.assertEqual(self.execute(HOME="/proc/nothing"), "[1] 1\n")

    def test_a_temporary_directory_with_a_long_name(self):
        self.temporary = os.path.join(self.temporary, "x" * 120)
        os.mkdir(self.temporary)
        self.write(cell("print(1)"))
        self.assertEqual(self.execute(), "[1] 1\n")

    def test_what_is_no_notebook(self):
        with open(self.path, "w") as file:
            file.write("{")
        self.assertIn("is not a notebook", self.execute(expected=1))
        os.unlink(self.path)
        self.assertIn("cannot read the notebook", self.execute(expected=1))


if __name__ == "__main__":
    unittest.main()
