"""What does a worker do for one visitor, in a process of its own?"""
