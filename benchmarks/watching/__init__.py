"""What does watching cost, and does it warn in time?"""
