"""What does a first lesson on depth say, with numbers made while you read?"""

from fathometer.lab.lessons.catalogue import LESSONS, lesson, lessons_table

__all__ = ["LESSONS", "lesson", "lessons_table"]
