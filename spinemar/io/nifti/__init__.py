"""What a NIfTI file says: where its voxels lie, and their values."""
