"""Will it train at full size, asked on a machine that cannot hold it?"""
