"""Physics of a CT scan: materials, spectra and the scan simulator."""
