"""What steps rely on when they import `orchest`."""
import importlib.util
import json
import os
import re
import unittest

from steps import FIRST, LAST, PIPELINE, PYTHON_DIRECTORY, SECOND, Run

ARROW = importlib.util.find_spec("pyarrow") is not None


class StepTestCase(unittest.TestCase):
    def setUp(self):
        self.run_ = Run()
        self.addCleanup(self.run_.remove)

    def succeed(self, step_uuid, code, **options):
        result = self.run_.step(step_uuid, code, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def fail_with(self, error, step_uuid, code, **options):
        result = self.run_.step(step_uuid, "import orchest, orchest.transfer\n" + code, **options)
        self.assertEqual(result.returncode, 1, result.stdout)
        last = result.stderr.strip().splitlines()[-1]
        self.assertIn("." + error + ":", last)
        return last


class Imports(StepTestCase):
    def test_needs_nothing_but_the_standard_library(self):
        code = (
            "import sys; sys.path.insert(0, {!r}); sys.modules['pyarrow'] = None\n"
            "import orchest, orchest.transfer, orchest.parameters\n"
            "assert orchest.get_step_param('shared') == 'step of first'\n"
            "orchest.output(1, None)"
        ).format(PYTHON_DIRECTORY)
        # -I would ignore nothing that the module needs: its settings are read from the environment by itself.
        self.succeed(FIRST, code, options=["-S", "-I"])

    def test_import_writes_and_reads_no_file_of_the_run(self):
        self.succeed(
            FIRST, "import orchest", ORCHEST_PIPELINE_PATH="/nonexistent", ORCHEST_STEP_UUID=None, HOME="/nonexistent"
        )

    def test_names_at_the_top(self):
        self.succeed(
            FIRST,
            "import orchest\n"
            "for n in 'get_inputs output get_step_param get_pipeline_param get_service get_services Config log_metric "
            "parameters transfer services error utils pipeline'.split(): getattr(orchest, n)\n"
            "assert not hasattr(orchest, 'get_params')",
        )


class Parameters(StepTestCase):
    def test_step_and_pipeline_parameters_do_not_mix(self):
        self.succeed(
            FIRST,
            "import orchest\n"
            "assert orchest.get_step_param('shared') == 'step of first'\n"
            "assert orchest.get_pipeline_param('shared') == 'pipeline'\n"
            "assert orchest.get_step_param('only-pipeline') is None\n"
            "assert orchest.get_step_param('nothing', 7) == 7\n"
            "step, pipeline = orchest.parameters.get_params()\n"
            "assert step == {'shared': 'step of first'}\n"
            "assert pipeline['only-pipeline'] == [1, {'a': None}]",
        )

    def test_errors_name_the_cause(self):
        last = self.fail_with("StepUUIDResolveError", FIRST, "orchest.get_step_param('a')", ORCHEST_STEP_UUID=None)
        self.assertIn("ORCHEST_STEP_UUID", last)
        self.fail_with("StepUUIDResolveError", "44444444-2222-4333-8444-555555555555", "orchest.get_step_param('a')")
        last = self.fail_with(
            "PipelineDefinitionNotFoundError", FIRST, "orchest.get_step_param('a')", ORCHEST_PIPELINE_PATH="/none"
        )
        self.assertIn("`/none`", last)


class Transfer(StepTestCase):
    def test_inputs_by_name_and_in_the_order_of_the_connections(self):
        self.succeed(FIRST, "import orchest; orchest.output({'a': 1}, None)")
        self.succeed(SECOND, "from orchest.transfer import output; output([1, 2], name=None)")
        self.succeed(
            LAST, "import orchest; assert orchest.transfer.get_inputs() == {'unnamed': [[1, 2], {'a': 1}]}"
        )
        self.succeed(FIRST, "import orchest; orchest.output('x', 'näme')")
        self.succeed(LAST, "import orchest; assert orchest.get_inputs() == {'unnamed': [[1, 2]], 'näme': 'x'}")
        self.succeed(FIRST, "import orchest; assert orchest.get_inputs() == {'unnamed': []}")

    def test_files_of_an_output(self):
        self.succeed(FIRST, "import orchest; orchest.output('x', 'n')")
        with open(os.path.join(self.run_.data(FIRST), "HEAD"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d; PICKLE; n\Z")
        self.assertEqual(sorted(os.listdir(self.run_.data(FIRST))), [FIRST + ".PICKLE", "HEAD"])

    def test_an_output_that_fails_leaves_the_last_one(self):
        self.succeed(FIRST, "import orchest; orchest.output('x', 'n')")
        self.fail_with("SerializationError", FIRST, "orchest.output(lambda: 1, 'm')")
        self.assertEqual(sorted(os.listdir(self.run_.data(FIRST))), [FIRST + ".PICKLE", "HEAD"])
        self.succeed(SECOND, "import orchest; orchest.output(0, 'o')")
        self.succeed(LAST, "import orchest; assert orchest.get_inputs()['n'] == 'x'")

    def test_second_calls_warn_unless_silenced(self):
        code = "import orchest\n{}\norchest.output(1, 'a')\norchest.output(2, 'b')"
        self.assertIn("RuntimeWarning", self.succeed(FIRST, code.format("")).stderr)
        silence = "orchest.Config.silence_multiple_data_transfer_calls_warning = True"
        self.assertEqual(self.succeed(FIRST, code.format(silence)).stderr, "")

    def test_names_that_are_refused(self):
        for name in ("'unnamed'", "'a; b'", "3"):
            with self.subTest(name=name):
                self.fail_with("DataInvalidNameError", FIRST, "orchest.output(1, {})".format(name))
        self.assertIn("TypeError", self.run_.step(FIRST, "import orchest; orchest.output(1)").stderr)

    def test_a_name_used_twice_is_told_before_data_is_read(self):
        for uuid in (FIRST, SECOND):
            self.succeed(uuid, "import orchest; orchest.output(1, 'same')")
            os.unlink(os.path.join(self.run_.data(uuid), uuid + ".PICKLE"))
        last = self.fail_with("InputNameCollisionError", LAST, "orchest.get_inputs()")
        self.assertIn("`first`", last)

    def test_ignore_failure_covers_lost_data_only(self):
        self.succeed(SECOND, "import orchest; orchest.output(1, 'n')")
        last = self.fail_with("DiskOutputNotFoundError", LAST, "orchest.get_inputs(ignore_failure=True)")
        self.assertIn("`first`", last)
        self.succeed(FIRST, "import orchest; orchest.output(1, None)")
        os.unlink(os.path.join(self.run_.data(FIRST), FIRST + ".PICKLE"))
        self.fail_with("DiskOutputNotFoundError", LAST, "orchest.get_inputs()")
        self.succeed(
            LAST, "import orchest; assert orchest.get_inputs(ignore_failure=True) == {'unnamed': [None], 'n': 1}"
        )

    def test_broken_files_are_told(self):
        for uuid in (FIRST, SECOND):
            self.succeed(uuid, "import orchest; orchest.output(1, None)")
        data = os.path.join(self.run_.data(FIRST), FIRST + ".PICKLE")
        for content in (b"", b"junk", b"cno_such_module\nthing\n."):
            with self.subTest(content=content):
                with open(data, "wb") as file:
                    file.write(content)
                self.fail_with("DeserializationError", LAST, "orchest.get_inputs()")
        for head in ("", "x; PICKLE; n", "2020-01-01T00:00:00; JSON; n", "2020-01-01T00:00:00; PICKLE"):
            with self.subTest(head=head):
                with open(os.path.join(self.run_.data(FIRST), "HEAD"), "w") as file:
                    file.write(head)
                self.fail_with("InvalidMetaDataError", LAST, "orchest.get_inputs()")

    def test_serialized_data(self):
        code = (
            "import orchest.transfer as t, pickle\n"
            "t.output_to_disk(pickle.dumps('p'), None, serialization=t.Serialization.PICKLE)"
        )
        self.succeed(FIRST, code)
        result = self.succeed(SECOND, "import orchest; orchest.transfer.output_to_memory(2, None)")
        self.assertIn("writes to disk", result.stderr)
        self.succeed(LAST, "import orchest; assert orchest.get_inputs()['unnamed'] == [2, 'p']")

    def test_arrow_without_pyarrow_is_a_clear_error(self):
        code = (
            "import orchest.transfer as t\n"
            "t.output_to_disk(b'', None, serialization=t.Serialization.ARROW_TABLE)"
        )
        self.succeed(FIRST, code)
        self.succeed(SECOND, "import orchest; orchest.output(1, 'n')")
        without = "import sys; sys.modules['pyarrow'] = None; orchest.get_inputs()"
        last = self.fail_with("DeserializationError", LAST, without)
        self.assertIn("pip install pyarrow", last)

    @unittest.skipUnless(ARROW, "pyarrow is not installed")
    def test_arrow(self):
        table = "import orchest, pyarrow as pa; t = pa.table({'a': [1, 2]}); "
        self.succeed(FIRST, table + "orchest.output('old', 'table')")
        self.succeed(FIRST, table + "orchest.output(t, 'table')")
        self.assertEqual(sorted(os.listdir(self.run_.data(FIRST))), [FIRST + ".ARROW_TABLE", "HEAD"])
        self.succeed(SECOND, table + "orchest.output(t.to_batches()[0], 'batch')")
        self.succeed(
            LAST, table + "i = orchest.get_inputs(); assert i['table'] == t and i['batch'] == t.to_batches()[0]"
        )


class Metrics(StepTestCase):
    def lines(self):
        with open(self.run_.metrics, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_a_metric_is_one_line_of_json(self):
        self.succeed(FIRST, "import orchest; orchest.log_metric('accuracy', 0.5); orchest.log_metric('n', 3)")
        first, second = self.lines()
        self.assertEqual(set(first), {"name", "value", "time", "step"})
        self.assertEqual((first["name"], first["value"], first["step"]), ("accuracy", 0.5, FIRST))
        self.assertRegex(first["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
        self.assertEqual(second["value"], 3)

    def test_whatever_float_accepts_is_a_number(self):
        self.succeed(
            FIRST,
            "import orchest, decimal, fractions\n"
            "orchest.log_metric('a', decimal.Decimal('1.5'))\n"
            "orchest.log_metric('b', fractions.Fraction(1, 4))\n"
            "orchest.log_metric('c', 10 ** 30)",
        )
        self.assertEqual([line["value"] for line in self.lines()], [1.5, 0.25, 1e30])

    def test_what_is_refused(self):
        for call in (
            "'a', float('nan')",
            "'a', float('-inf')",
            "'a', True",
            "'a', '1'",
            "'a', None",
            "'a', [1]",
            "'a', 10 ** 400",
            "'', 1",
            "'a\\nb', 1",
            "'a' * 201, 1",
            "3, 1",
        ):
            with self.subTest(call=call):
                self.fail_with("MetricError", FIRST, "orchest.log_metric({})".format(call))
        self.assertFalse(os.path.exists(self.run_.metrics))

    def test_nowhere_to_write(self):
        last = self.fail_with("MetricError", FIRST, "orchest.log_metric('a', 1)", ORCHEST_METRICS_PATH="/none/m.jsonl")
        self.assertIn("ORCHEST_METRICS_PATH", last)

    def test_lines_of_steps_at_the_same_time_stay_whole(self):
        code = (
            "import orchest, multiprocessing\n"
            "def work(n):\n"
            "    for i in range(200): orchest.log_metric('m' * 150, i)\n"
            "c = multiprocessing.get_context('fork')\n"
            "w = [c.Process(target=work, args=(n,)) for n in range(4)]\n"
            "[p.start() for p in w]; [p.join() for p in w]"
        )
        self.succeed(FIRST, code)
        self.assertEqual(len(self.lines()), 800)


class Services(StepTestCase):
    def test_services_of_this_session(self):
        self.succeed(
            FIRST,
            "import orchest\n"
            "assert list(orchest.get_services()) == ['db']\n"
            "s = orchest.get_service('db')\n"
            "h = 'db-99999999-2222-4333-8444-555555555555'\n"
            "assert s['internal_hostname'] == h and 'scope' not in s\n"
            "assert s['external_urls'] == {5432: 'http://{host_name}:{port}/service-' + h + '_5432'}\n"
            "assert s['base_paths'] == {5432: '/service-' + h + '_5432'}",
        )

    def test_errors(self):
        self.fail_with("ServiceNotFound", FIRST, "orchest.get_service('ui')")
        self.fail_with("UnrecognizedSessionType", FIRST, "orchest.get_services()", ORCHEST_SESSION_TYPE="x")
        self.fail_with("SessionNotFound", FIRST, "orchest.get_services()", ORCHEST_SESSION_UUID=None)


class Identifiers(StepTestCase):
    def test_a_uuid_that_leads_elsewhere_is_refused(self):
        self.run_.definition["uuid"] = "../../x"
        self.fail_with("StepUUIDResolveError", FIRST, "orchest.output(1, None)")

    def test_the_pipeline_of_the_variable_comes_first(self):
        other = re.sub("^0", "1", PIPELINE)
        self.succeed(FIRST, "import orchest; orchest.output(1, None)", ORCHEST_PIPELINE_UUID=other)
        self.assertTrue(os.path.exists(self.run_.data(FIRST).replace(PIPELINE, other)))


if __name__ == "__main__":
    unittest.main()
