"""What a user can choose: how to correct, with which model, on which device."""
