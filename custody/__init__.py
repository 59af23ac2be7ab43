"""What recordings are made of and who can open them: frames, seals, manifests, keys.

Stands below the edge, which writes, and the control plane, which lets people listen; knows neither.
"""
