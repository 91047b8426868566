"""Real calls are made of the user's own code, as it is: its contract, its compiled form, what else no trace shows."""
