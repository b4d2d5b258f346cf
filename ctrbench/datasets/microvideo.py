"""Import MicroVideo1.7M: covers of micro-videos, clicked or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ctrbench.datasets._video_logs import Official, VideoImporter


@dataclass(frozen=True)
class MicroVideo(VideoImporter):
    """MicroVideo1.7M_x1 or MicroVideo1.7M_x2: micro-videos that were shown, and cover vectors.

    Get the files from https://huggingface.co/datasets/reczoo/MicroVideo1.7M_x1 or
    https://huggingface.co/datasets/reczoo/MicroVideo1.7M_x2 and unpack them into one folder. No
    license is stated. In x1 all items of test are new; x2 has a valid file and longer histories.
    """

    default_name: ClassVar[str | None] = "microvideo"
    official: ClassVar[Official] = Official(
        name="microvideo",
        header=(
            *("user_id", "item_id", "cate_id", "is_click", "timestamp"),
            *("clicked_items", "clicked_categories"),
        ),
        history="clicked_items",
        category="cate_id",
        vectors="item_image_emb_dim64.h5",
        version="cover64",
        x1_notes=(
            "The publisher numbers items of test after those of train (+984,983), so no item of "
            "test was seen in train.",
        ),
        about_vectors=("A PCA of 512 numbers per cover, fitted on items of train and test.",),
        about_given=(
            "Histories are the given ones: at most 128 clicks, in test the last ones of train. "
            "They may contain clicks of the impression's own timestamp."
        ),
        if_uneven=(
            "The publisher sorted rows and histories by timestamp as text, so the given histories "
            "are out of order."
        ),
    )
