from mlobs_client.check.finding import error, errors, ok, split_remedy, warning


def test_errors_are_picked_from_findings():
    bad = error("the cell is flat", "give it a volume")
    assert errors([ok("species"), warning("weight 0", "remove it"), bad]) == [bad]


def test_a_message_is_split_where_its_remedy_begins() -> None:
    assert split_remedy("no file; name one; or two") == ("no file", "name one; or two")
    assert split_remedy("no file") == ("no file", "")
