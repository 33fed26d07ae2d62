"""Lightning modules: one a training stage."""
