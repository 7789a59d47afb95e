"""What does the whole story look like, on real data?"""

from fathometer.demo.page import story_figure, story_page
from fathometer.demo.story import Story, tell_story

__all__ = ["Story", "story_figure", "story_page", "tell_story"]
