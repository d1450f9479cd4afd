"""Everything that this module raises on purpose is an `Error`."""


class Error(Exception):
    """Base of all errors of this module."""


class PipelineDefinitionNotFoundError(Error):
    """The pipeline definition is missing or cannot be read."""


class StepUUIDResolveError(Error):
    """It cannot be told which step of the pipeline is running."""


class SerializationError(Error):
    """The data of an output cannot be turned into bytes."""


class DeserializationError(Error):
    """The bytes of an input cannot be turned into data."""


class ObjectNotFoundError(Error):
    """An object is missing in memory; kept for code that catches it, never raised."""


class OutputNotFoundError(Error):
    """A step that is an input has not output anything, or its data is gone."""


class DiskOutputNotFoundError(OutputNotFoundError):
    """The output of a step is not on disk."""


class MemoryOutputNotFoundError(OutputNotFoundError):
    """The output of a step is not in memory; kept for code that catches it, never raised."""


class OrchestNetworkError(Error):
    """A service of the system cannot be reached; kept for code that catches it, never raised."""


class InputNameCollisionError(Error):
    """Two inputs have the same name."""


class DataInvalidNameError(Error):
    """The name of an output is reserved, contains a reserved text, or is no text."""


class InvalidMetaDataError(Error):
    """The HEAD file beside the data of a step cannot be understood."""


class ServiceNotFound(Error):
    """The pipeline has no service of that name in this kind of session."""


class UnrecognizedSessionType(Error):
    """ORCHEST_SESSION_TYPE is neither `interactive` nor `noninteractive`."""


class SessionNotFound(Error):
    """There is no session whose services could be named."""


class MetricError(Error, ValueError):
    """A metric has a bad name or value, or there is nowhere to write it."""
