"""A segmented spine as overlay sheets and as surfaces."""
