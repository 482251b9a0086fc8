from mlobs_client.check.finding import error, errors, ok, warning


def test_errors_are_picked_from_findings():
    bad = error("the cell is flat", "give it a volume")
    assert errors([ok("species"), warning("weight 0", "remove it"), bad]) == [bad]
