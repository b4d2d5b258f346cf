"""Train an image encoder on the `pretrain` period and register what it makes of every image."""

from ctrbench.pretraining.configuring import Variant, require_free, variants
from ctrbench.pretraining.pictures import Pictures, open_pictures
from ctrbench.pretraining.running import Job, pretrain
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sheets import draw_rows, write_sheet
from ctrbench.pretraining.sources import FrozenVectors, Pixels

__all__ = [
    "FrozenVectors",
    "Job",
    "Pictures",
    "Pixels",
    "PretrainSettings",
    "Variant",
    "draw_rows",
    "open_pictures",
    "pretrain",
    "require_free",
    "variants",
    "write_sheet",
]
