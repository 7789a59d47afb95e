"""How fast, and how right? Measurements that anyone can run again."""
