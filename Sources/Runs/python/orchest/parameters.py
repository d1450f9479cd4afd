"""The parameters of the running step and of its pipeline: two sets that never mix."""
from orchest.utils import get_pipeline, get_step_uuid


def get_params():
    """Returns the parameters of the step and those of the pipeline, in this order."""
    pipeline = get_pipeline()
    step = pipeline.get_step_by_uuid(get_step_uuid(pipeline))
    return step.get_params(), pipeline.get_params()


def get_step_param(name, default=None):
    """Returns a parameter of the running step, or `default` when there is none of that name."""
    step_params, _ = get_params()
    return step_params.get(name, default)


def get_pipeline_param(name, default=None):
    """Returns a parameter of the pipeline, or `default` when there is none of that name."""
    return get_pipeline().get_params().get(name, default)
