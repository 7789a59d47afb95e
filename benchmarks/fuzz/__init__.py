"""Does bad input ever end in a traceback, a hang or a silent mistake?"""
