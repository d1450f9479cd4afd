"""Parts of the programs that execute steps; not for use by steps."""
