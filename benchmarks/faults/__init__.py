"""Does it survive what hard use does to it? Faults injected, and what was lost."""
