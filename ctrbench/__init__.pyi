from ctrbench.analysis.matrices import comparison_table as comparison_table
from ctrbench.analysis.matrices import judged as judged
from ctrbench.embeddings import open_version as open_version
from ctrbench.errors import CtrBenchError as CtrBenchError
from ctrbench.impressions import open_impressions as open_impressions
from ctrbench.matrix import read_matrix as read_matrix
from ctrbench.reports import long_table as long_table
from ctrbench.reports import render as render
from ctrbench.runner import completed as completed
from ctrbench.runner import run_matrix as run_matrix
from ctrbench.workspace import Workspace as Workspace

__version__: str
