"""The networks: prior (image domain), generator (sinogram domain), discriminator."""
