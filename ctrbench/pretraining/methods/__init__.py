"""Where image vectors come from: one way to train an image encoder per file, its name the method's.

A method is the one public subclass of `PretrainMethod` in its file. Its fields are its settings. It
says what a training sample is (a line of a user's log, or an item), which layers it learns beside
the encoder, and its loss on encoded images. The loop, the encoders and the files are not its
concern.
"""

from ctrbench.pretraining.methods._base import (
    PACKAGE,
    ItemBatch,
    LineBatch,
    PretrainMethod,
    configured,
)

__all__ = ["PACKAGE", "ItemBatch", "LineBatch", "PretrainMethod", "configured"]
