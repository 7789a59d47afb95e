"""The studies by name; a new one is a new file and one line here."""

from fathometer.studies.clipping import CLIPPING
from fathometer.studies.degradation import DEGRADATION
from fathometer.studies.depth_or_width import DEPTH_OR_WIDTH
from fathometer.studies.power_of_depth import POWER_OF_DEPTH
from fathometer.studies.question import Question
from fathometer.studies.residual import RESIDUAL
from fathometer.studies.scaling_law import SCALING
from fathometer.studies.trainability import TRAINABILITY
from fathometer.studies.transfer import TRANSFER

STUDIES: dict[str, Question] = {
    "power-of-depth": POWER_OF_DEPTH,
    "depth-or-width": DEPTH_OR_WIDTH,
    "degradation": DEGRADATION,
    "trainability": TRAINABILITY,
    "residual": RESIDUAL,
    "clipping": CLIPPING,
    "transfer": TRANSFER,
    "scaling": SCALING,
}
