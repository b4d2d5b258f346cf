"""What was added to a workspace: versions, and a data set with the versions that come with it."""

from __future__ import annotations

from dataclasses import dataclass

from ctrbench.display import Displayed
from ctrbench.embeddings.statistics import Shares
from ctrbench.impressions import Described
from ctrbench.schema import VersionManifest


@dataclass(frozen=True)
class AddedField:
    """One vector field of a version that was added."""

    manifest: VersionManifest
    reference: str  # the text that names it: v7, or v7:text
    new: bool  # False: it existed with the same content
    coverage: Shares  # of the data set
    unmatched: str = ""  # examples of ids that match no item, with the nearest id each


@dataclass(frozen=True)
class AddedVersion(Displayed, view="versions.show_version"):
    """A version that was added from files."""

    manifest: VersionManifest
    fields: tuple[AddedField, ...]


@dataclass(frozen=True)
class DerivedVersion(Displayed, view="versions.show_made"):
    """A version that was derived from another."""

    manifest: VersionManifest  # of the new version, or of its derived vector field
    reference: str  # the text that names it: v7, or v7:text
    new: bool  # False: it existed with the same content


@dataclass(frozen=True)
class PretrainedVersion(Displayed, view="versions.show_trained"):
    """A version that was pre-trained."""

    manifest: VersionManifest
    new: bool  # False: it existed with the same settings


@dataclass(frozen=True)
class ImportedLog(Displayed, view="datasets.show_log"):
    """A data set that was imported, and the versions that came with it."""

    described: Described
    new: bool  # False: it existed with the same content
    versions: tuple[AddedVersion, ...]
