"""A language model that takes a dictionary, as Hugging Face's do."""

from torch import Tensor, nn
from torch.nn import functional as F


class Worded(nn.Module):
    """The loss of the next token, and the logits, from `input_ids` and `labels`; the labels are shifted here."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.model(input_ids if labels is None else input_ids[:, :-1])
        if labels is None:
            return {"logits": logits}
        return {"loss": F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()), "logits": logits}
