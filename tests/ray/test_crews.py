"""Who computes what, how much at a time, and whether one is killed meanwhile, moves no bit of a score."""


def test_moments_are_the_same_bits_for_any_crew(measured):
    found = measured["crews"]["found"]
    assert len(found) == 4
    assert len({digest for digest, _ in found.values()}) == 1, found
    assert {count for _, count in found.values()} == {1100}
    assert len(measured["crews"]["killed"]) == 1


def test_a_stop_flag_is_up_when_it_was_raised_and_not_when_its_keeper_is_gone(measured):
    assert measured["crews"]["flags"] == [[False, False], [False, False], [True, False]]


def test_ray_puts_no_handlers_in_place_of_ours(measured):
    assert measured["kept"] == ["SIGINT", "SIGTERM"]
