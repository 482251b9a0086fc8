"""Every observable of the table fits into a row."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.quantities import QUANTITIES
from mlobs_client.record.columns import CHECKSUM, column, row_type


def test_every_quantity_is_a_column_with_its_unit() -> None:
    assert {name: column(name).unit for name in QUANTITIES} == {
        name: row.unit for name, row in QUANTITIES.items()
    }


def test_a_row_keeps_the_order_of_its_columns_and_ends_with_the_checksum() -> None:
    row = row_type({"positions": (5, 3), "step": (), "energy": ()})
    assert row.names == ("positions", "step", "energy", CHECKSUM)
    assert row["positions"] == np.dtype(("<f8", (5, 3)))
    assert row.itemsize == 8 * (15 + 3)


@pytest.mark.parametrize("shapes", [{}, {"energie": ()}])
def test_rows_of_nothing_or_of_unknown_things_are_refused(shapes) -> None:
    with pytest.raises(RecordError):
        row_type(shapes)
