"""One pair: exposures with and without metal, in both domains."""
