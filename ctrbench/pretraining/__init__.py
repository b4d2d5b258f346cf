"""Pre-training: trains an image encoder on the `pretrain` period and registers all item vectors.

`methods/` and `encoders/` contain the contenders, which do not depend on the training loop.
`running.pretrain` creates one version. Only `running`, `fitting`, `steps` and `sources` import
torch, and this module does not import them.
"""
