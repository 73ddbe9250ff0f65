"""What runs the published model: ONNX Runtime or PyTorch, chosen by HEADROOM_KOMPRESS_BACKEND."""

from headroom.kompress.backends.choice import Backend, Engine, Machine, engines, wanted
from headroom.kompress.backends.opening import Scorer, open_scorer

__all__ = ["Backend", "Engine", "Machine", "Scorer", "engines", "open_scorer", "wanted"]
