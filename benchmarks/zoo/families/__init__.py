"""Which networks live in the zoo? One file for each kind."""
