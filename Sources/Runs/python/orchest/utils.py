"""Finding out which pipeline and which step is running."""
import json
import os
import re

from orchest import error
from orchest.config import Config
from orchest.pipeline import Pipeline

# Identifiers become names of directories, so nothing that leads elsewhere may pass.
_IDENTIFIER = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,127}\Z")


def get_pipeline():
    """Reads the pipeline definition of this run."""
    path = Config.PIPELINE_DEFINITION_PATH
    try:
        with open(path, "r", encoding="utf-8") as file:
            definition = json.load(file)
    except OSError as cause:
        raise error.PipelineDefinitionNotFoundError(
            "cannot read the pipeline definition `{}`: {}".format(path, cause.strerror or cause)
        ) from None
    except ValueError as cause:
        raise error.PipelineDefinitionNotFoundError(
            "the pipeline definition `{}` is not JSON: {}".format(path, cause)
        ) from None
    return Pipeline.from_json(definition)


def get_step_uuid(pipeline):
    """Returns the uuid of the running step and makes sure that `pipeline` has such a step."""
    uuid = os.environ.get("ORCHEST_STEP_UUID")
    if not uuid:
        raise error.StepUUIDResolveError(
            "it cannot be told which step is running: the variable `ORCHEST_STEP_UUID` is not set, "
            "so this code does not run as a step of a pipeline"
        )
    pipeline.get_step_by_uuid(uuid)
    return checked_uuid(uuid, "step")


def get_pipeline_uuid(pipeline=None):
    """Returns the uuid of the running pipeline."""
    uuid = os.environ.get("ORCHEST_PIPELINE_UUID")
    if not uuid:
        uuid = (pipeline or get_pipeline()).properties.get("uuid")
    if not uuid:
        raise error.PipelineDefinitionNotFoundError(
            "the pipeline definition `{}` has no uuid".format(Config.PIPELINE_DEFINITION_PATH)
        )
    return checked_uuid(uuid, "pipeline")


def checked_uuid(uuid, what):
    """Returns `uuid` if it may become the name of a directory."""
    if not isinstance(uuid, str) or not _IDENTIFIER.match(uuid):
        raise error.StepUUIDResolveError("`{}` is not the uuid of a {}".format(str(uuid)[:80], what))
    return uuid
