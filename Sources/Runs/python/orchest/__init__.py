"""Data passing, parameters and metrics for the steps of a pipeline.

Follows the interface of the `orchest` package, so that steps written for it run unchanged, and adds `log_metric`.
Needs nothing but the standard library; pyarrow is used where it is installed.
"""
from orchest import config, error, metrics, parameters, pipeline, services, transfer, utils
from orchest.config import Config
from orchest.metrics import log_metric
from orchest.parameters import get_pipeline_param, get_step_param
from orchest.services import get_service, get_services
from orchest.transfer import get_inputs, output

# The version of the interface that is followed.
__version__ = "0.3.11"

__all__ = [
    "Config",
    "get_inputs",
    "get_pipeline_param",
    "get_service",
    "get_services",
    "get_step_param",
    "log_metric",
    "output",
]
