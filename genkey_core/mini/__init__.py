"""Small worlds and small models: what the mini models are trained on, and how.

Nothing heavy is imported here: `motion_world` needs NumPy and OpenCV alone, `train_video` needs torch.
"""
