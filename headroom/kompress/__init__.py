"""Learned judgement of what is still needed: the embedded model, and the published one on ONNX Runtime or PyTorch."""
