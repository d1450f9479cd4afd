"""A run as a step sees it, in a temporary directory."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON_DIRECTORY = os.path.join(REPOSITORY, "Sources", "Runs", "python")

PIPELINE = "0aa1d2c4-5f0e-4a8e-9b36-7c1f2d3e4a5b"
FIRST = "11111111-2222-4333-8444-555555555555"
SECOND = "22222222-2222-4333-8444-555555555555"
LAST = "33333333-2222-4333-8444-555555555555"


class Run:
    """Two steps that a third gets data from; `step` executes code as one of them, in a process of its own."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="run-")
        self.metrics = os.path.join(self.directory, "metrics.jsonl")
        self.definition = {
            "name": "Main",
            "uuid": PIPELINE,
            "version": "1.2.3",
            "parameters": {"shared": "pipeline", "only-pipeline": [1, {"a": None}]},
            "settings": {},
            "services": {
                "db": {"name": "db", "scope": ["noninteractive"], "ports": [5432], "image": "i"},
                "ui": {"name": "ui", "scope": ["interactive"], "ports": [80], "image": "i"},
            },
            "steps": {
                FIRST: step(FIRST, "first", []),
                SECOND: step(SECOND, "second", []),
                LAST: step(LAST, "last", [SECOND, FIRST]),
            },
        }

    def remove(self):
        shutil.rmtree(self.directory)

    def data(self, step_uuid):
        return os.path.join(self.directory, ".orchest", "pipelines", PIPELINE, "data", step_uuid)

    def environment(self, step_uuid, **changes):
        path = os.path.join(self.directory, "pipeline.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.definition, file)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.directory,
            "PYTHONPATH": PYTHON_DIRECTORY,
            "PYTHONDONTWRITEBYTECODE": "1",
            "ORCHEST_PROJECT_DIR": self.directory,
            "ORCHEST_PIPELINE_PATH": path,
            "ORCHEST_STEP_UUID": step_uuid,
            "ORCHEST_SESSION_UUID": "99999999-2222-4333-8444-555555555555",
            "ORCHEST_SESSION_TYPE": "noninteractive",
            "ORCHEST_METRICS_PATH": self.metrics,
        }
        environment.update(changes)
        return {name: value for name, value in environment.items() if value is not None}

    def step(self, step_uuid, code, options=(), **changes):
        """Executes code as a step; the result has `returncode`, `stdout` and `stderr`."""
        return subprocess.run(
            [sys.executable] + list(options) + ["-c", code],
            env=self.environment(step_uuid, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=60,
        )


def step(uuid, title, incoming):
    return {
        "uuid": uuid,
        "title": title,
        "parameters": {"shared": "step of " + title},
        "incoming_connections": incoming,
        "file_path": title + ".py",
        "environment": "",
        "kernel": {"name": "python", "display_name": "Python"},
    }
