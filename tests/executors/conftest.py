"""A Ray cluster of two nodes on this machine."""

import os

import pytest


@pytest.fixture(scope="session")
def cluster():
    """Give a cluster with a head without CPUs and a first node of two CPUs; connect to it."""
    ray = pytest.importorskip("ray", reason="the extra ctrbench[ray] is not installed")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no network
    made = Cluster()
    made.add_node(num_cpus=0, include_dashboard=False)
    made.add_node(num_cpus=2, resources={"first": 1})
    ray.init(made.address, logging_level="ERROR", log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()
