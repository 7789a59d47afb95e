"""How does it join the trainers of others? Thin, lazy callbacks."""

from fathometer.integrations.hugging_face import hugging_face_callback
from fathometer.integrations.lightning import lightning_callback

__all__ = ["hugging_face_callback", "lightning_callback"]
