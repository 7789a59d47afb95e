"""What would a stranger write? Small networks in plain torch."""
