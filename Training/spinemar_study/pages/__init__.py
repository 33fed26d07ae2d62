"""Tables, plots and pictures of the page, from the studies' results."""
