"""What does depth buy? Studies over hundreds of networks."""

from fathometer.studies.catalogue import STUDIES
from fathometer.studies.conduct import StudyError
from fathometer.studies.on_dask import dask_executor
from fathometer.studies.question import Question, Reading
from fathometer.studies.study import Study, find_question, study

__all__ = ["STUDIES", "Question", "Reading", "Study", "StudyError", "dask_executor", "find_question", "study"]
