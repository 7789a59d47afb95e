"""What holds on a GPU? One table: target, measured, met or missed."""
