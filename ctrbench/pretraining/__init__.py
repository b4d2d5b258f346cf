"""Pre-training: train an image encoder on the `pretrain` period and register every item's vector.

`methods/` and `encoders/` hold the contenders, which know nothing of the loop. `running.pretrain`
makes one version. torch loads with `running`, `fitting`, `steps` and `sources` alone, so nothing is
imported here.
"""
