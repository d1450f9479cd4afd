"""The one way in which an execution ends early."""


class Failure(Exception):
    """Ends the execution with a sentence in the log and this exit code."""

    def __init__(self, sentence, code=1):
        super().__init__(sentence)
        self.code = code
