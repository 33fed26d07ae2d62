"""The plan and its CT as nodes of a scene."""
