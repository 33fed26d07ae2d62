"""The pelvis beside the sacrum: femoral heads, and hip bones for screws that end in them."""
