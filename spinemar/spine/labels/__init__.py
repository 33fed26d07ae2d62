"""Names and numbers of vertebral levels, and the conventions of other software."""
