"""A recurrent network that reads an image, four pixels at a time."""

from jaxtyping import Float
from torch import Tensor, nn

from fathometer.instruments import seeded

LOUDNESS = 1.3  # what each time step multiplies a signal by, about: in 16 steps 67 times
AT_ONCE = 4


class Reader(nn.Module):
    """A ReLU recurrent network whose matrix starts as more than a rotation, so that its gradient explodes in time."""

    def __init__(self, units: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.cell, self.readout = nn.RNN(AT_ONCE, units, nonlinearity="relu", batch_first=True), nn.Linear(units, classes)
        nn.init.orthogonal_(self.cell.get_parameter("weight_hh_l0"), gain=LOUDNESS * 2**0.5)

    def forward(self, inputs: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch classes"]:
        """Return the scores of the classes after the last pixels."""
        states, _ = self.cell(inputs.view(len(inputs), -1, AT_ONCE))
        return self.readout(states[:, -1])


def seeded_reader(seed: int) -> Reader:
    """Return a reader drawn from a seed; torch's generators are left as they were."""
    with seeded(seed):
        return Reader()
