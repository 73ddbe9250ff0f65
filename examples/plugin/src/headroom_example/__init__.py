"""An example of a plugin for headroom: a transform and a store."""
