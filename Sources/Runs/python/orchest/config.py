"""Where a step finds its pipeline, its data and its metrics."""
import os


class Config:
    """Settings of this module; every one may be changed by assigning to the class."""

    # Directory of the project. ORCHEST_PROJECT_DIR lets a step be tried outside of a run.
    PROJECT_DIR = os.environ.get("ORCHEST_PROJECT_DIR") or "/project-dir"

    # The pipeline definition of this run, with the parameters of this run in it.
    PIPELINE_DEFINITION_PATH = os.environ.get("ORCHEST_PIPELINE_PATH") or "/pipeline.json"

    # One JSON object a line, written by `log_metric`.
    METRICS_PATH = os.environ.get("ORCHEST_METRICS_PATH") or "/run/cloche/metrics.jsonl"

    # Set to True to hear nothing of a second `output` or `get_inputs` in one step.
    silence_multiple_data_transfer_calls_warning = False

    _RESERVED_UNNAMED_OUTPUTS_STR = "unnamed"
    _METADATA_SEPARATOR = "; "

    @classmethod
    def get_step_data_dir(cls, step_uuid, pipeline_uuid=None):
        """Returns the directory that holds the output of a step.

        Without `pipeline_uuid` it is that of the running pipeline.
        """
        if pipeline_uuid is None:
            from orchest.utils import get_pipeline_uuid

            pipeline_uuid = get_pipeline_uuid()
        return os.path.join(cls.PROJECT_DIR, ".orchest", "pipelines", pipeline_uuid, "data", step_uuid)
