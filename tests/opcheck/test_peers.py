"""What bench/opcheck_peers.py compares and counts; test_peers_torch.py has what needs torch."""

from __future__ import annotations

from bench import torch_zoo
from bench.opcheck_peers import RIGHT, Verdict, animals, rows, zoo_modules

ZOO = {animal.name: animal for animal in animals(zoo_modules())}


def test_the_whole_zoo_is_compared() -> None:
    wrong = [animal for animal in ZOO.values() if animal.check]
    assert len(wrong) >= 60 and len(ZOO) - len(wrong) >= 40
    import zoo_right
    import zoo_wrong

    assert {animal.name for animal in [*zoo_right.RIGHT, *zoo_wrong.WRONG]} <= set(ZOO)


def test_what_is_not_written_for_torch_has_a_reason() -> None:
    for name, reason in torch_zoo.NOT_FOR_TORCH.items():
        assert name in ZOO, f"{name} is in the zoo no more"
        assert len(reason.split()) > 3
        assert torch_zoo.reason_against(ZOO[name]) == reason
    reasons = [name for name in ZOO if torch_zoo.reason_against(ZOO[name]) is not None]
    assert len(reasons) < len(ZOO) / 10


def test_the_table_adds_up() -> None:
    verdicts = [
        Verdict("a", "test_fake", True, True, "refused"),
        Verdict("b", "test_fake", True, False, ""),
        Verdict("c", "test_fake", False, None, "there is no such thing"),
        Verdict("d", "test_vmap", True, False, ""),
        Verdict("e", RIGHT, True, False, "refused"),
        Verdict("f", RIGHT, True, True, ""),
    ]
    assert rows(verdicts) == [
        ("wrong: test_fake", "2 of 3", "2 of 2", "1 of 2"),
        ("wrong: test_vmap", "1 of 1", "1 of 1", "0 of 1"),
        ("all wrong ones", "3 of 4", "3 of 3", "1 of 3"),
        ("right ones", "2 of 2", "2 of 2", "1 of 2"),
    ]
