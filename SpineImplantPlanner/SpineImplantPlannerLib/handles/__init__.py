"""What the surgeon's hand moves in the views."""
