import torch

from ctrbench.seeding import scoped_torch_seed, stream


def test_streams_of_different_names_differ():
    draws = {stream(0, name).integers(1 << 60) for name in ("a", "b", "c")}
    assert len(draws) == 3


def test_parts_of_a_name_are_separated():
    assert stream(0, "ab", "c").integers(1 << 60) != stream(0, "a", "bc").integers(1 << 60)


def test_scope_restores_the_global_state():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with scoped_torch_seed(1, "layer"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with scoped_torch_seed(1, "layer"):
        assert torch.equal(torch.rand(3), inside)
