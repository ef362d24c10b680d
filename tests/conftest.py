"""What every test stands on: one thread each, as the suite runs in parallel."""

import torch

torch.set_num_threads(1)
