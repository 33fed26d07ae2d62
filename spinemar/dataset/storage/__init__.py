"""The store on disk: layout, splits, card, check, reader."""
