"""How a spine stands: curves between endplates, now and with the planned cages."""
