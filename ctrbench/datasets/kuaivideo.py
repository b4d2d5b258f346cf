"""Import KuaiVideo: thumbnails of short videos shown by Kuaishou, clicked or passed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ctrbench.datasets._video_logs import Official, VideoImporter


@dataclass(frozen=True)
class KuaiVideo(VideoImporter):
    """KuaiVideo_x1 or KuaiVideo_x2: short videos that were shown, and vectors of thumbnails.

    Get the files from https://huggingface.co/datasets/reczoo/KuaiVideo_x1 or
    https://huggingface.co/datasets/reczoo/KuaiVideo_x2 and unpack them into one folder. No license
    is stated. x2 has a valid file and longer histories, so prefer it.
    """

    default_name: ClassVar[str | None] = "kuaivideo"
    official: ClassVar[Official] = Official(
        name="kuaivideo",
        header=(
            *("timestamp", "user_id", "item_id", "is_click", "is_like", "is_follow"),
            *("pos_items", "neg_items"),
        ),
        history="pos_items",
        category=None,
        vectors="item_visual_emb_dim64.h5",
        version="thumbnail64",
        x1_notes=(
            "is_like and is_follow are outcomes of the same impression and are excluded, as are "
            "the passed-over items of neg_items.",
            "user_visual_emb_dim64.h5 is computed from what users liked, at times that are not "
            "stated, and is not imported.",
            "Published FuxiCTR results merge ids that occur fewer than 10 times.",
        ),
        about_vectors=("Thumbnails, reduced to 64 numbers by the publisher on all items.",),
        about_given=(
            "Histories are the given ones: the first 100 clicks of a user, which do not change "
            "after the hundredth click."
        ),
    )
