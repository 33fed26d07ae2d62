"""Metal artifact reduction: find the metal, inpaint the rays it spoils, add the difference."""
