"""Pre-training methods: ways to train an image encoder, one per file.

The file name is the name of the method. A method is the only public subclass of `PretrainMethod` in
its file; its fields are its settings. It defines the training samples (lines of a log, or items),
the layers that it trains together with the encoder, and the loss on encoded images. It does not
depend on the training loop, the encoders or files.
"""

from ctrbench.pretraining.methods._base import (
    PACKAGE,
    ItemBatch,
    LineBatch,
    PretrainMethod,
    configured,
)

__all__ = ["PACKAGE", "ItemBatch", "LineBatch", "PretrainMethod", "configured"]
