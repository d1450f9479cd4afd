"""The pipeline definition as objects."""
from orchest import error


class PipelineStep:
    """One step of a pipeline: its properties and the steps that it gets data from."""

    def __init__(self, properties):
        self.properties = properties
        self.parents = []

    def get_params(self):
        """Returns the parameters of the step."""
        return self.properties.get("parameters") or {}

    def __repr__(self):
        return "<PipelineStep {!r}>".format(self.properties.get("title"))


class Pipeline:
    """A pipeline definition and its steps."""

    def __init__(self, properties, steps):
        self.properties = properties
        self.steps = steps
        self._by_uuid = {step.properties["uuid"]: step for step in steps}

    @classmethod
    def from_json(cls, definition):
        """Makes a pipeline of a parsed definition; the order of `incoming_connections` is kept in `parents`."""
        if not isinstance(definition, dict) or not isinstance(definition.get("steps"), dict):
            raise error.PipelineDefinitionNotFoundError("the pipeline definition has no object `steps`")
        steps = {uuid: PipelineStep(dict(step, uuid=uuid)) for uuid, step in definition["steps"].items()}
        for step in steps.values():
            for parent in step.properties.get("incoming_connections") or []:
                if parent not in steps:
                    raise error.StepUUIDResolveError(
                        "the step `{}` has an incoming connection from `{}`, which is no step of the pipeline".format(
                            step.properties.get("title"), parent
                        )
                    )
                step.parents.append(steps[parent])
        return cls({key: value for key, value in definition.items() if key != "steps"}, list(steps.values()))

    def get_params(self):
        """Returns the parameters of the pipeline."""
        return self.properties.get("parameters") or {}

    def get_step_by_uuid(self, uuid):
        """Returns the step with this uuid."""
        try:
            return self._by_uuid[uuid]
        except KeyError:
            raise error.StepUUIDResolveError("the pipeline has no step `{}`".format(uuid)) from None

    def __repr__(self):
        return "<Pipeline {!r}>".format(self.properties.get("name"))
