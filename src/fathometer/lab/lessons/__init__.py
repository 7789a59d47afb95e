"""What does a first lesson on depth say, with numbers made as you read?"""

from fathometer.lab.lessons.catalogue import LESSONS, lesson, lessons_table

__all__ = ["LESSONS", "lesson", "lessons_table"]
