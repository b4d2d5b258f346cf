import pytest

from data_synth.clicks import Log, make_log
from data_synth.world import World, WorldConfig, make_world


@pytest.fixture(scope="session")
def taste() -> World:
    return make_world(WorldConfig(strength=1.0, seed=3))


@pytest.fixture(scope="session")
def taste_log(taste: World) -> Log:
    return make_log(taste)


@pytest.fixture(scope="session")
def null() -> World:
    return make_world(WorldConfig(kind="null", seed=3))


@pytest.fixture(scope="session")
def null_log(null: World) -> Log:
    return make_log(null)
