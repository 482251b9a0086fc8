from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mlobs_client.errors import LocalProtocolError, RemoteProtocolError
from mlobs_client.quantities import QUANTITIES
from mlobs_client.wire.extras import RESERVED, decode, encode

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(arrays(np.float64, array_shapes(min_dims=0, max_dims=3), elements=finite))
def test_float64_comes_back_bit_by_bit(array):
    back = decode(encode({"anything": array}))["anything"]
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_of_the_table_survives_the_round_trip(name):
    sizes = {"n_atoms": 4, "n_members": 2}
    shape = tuple(sizes.get(size, size) for size in QUANTITIES[name].shape)
    value = np.random.default_rng(0).normal(size=shape)
    text = encode({name: value})
    assert list(json.loads(text)) == [QUANTITIES[name].wire_name]
    np.testing.assert_array_equal(decode(text)[name], value)


def test_born_charges_have_displacements_as_rows_and_dipole_components_as_columns():
    born_charges = np.zeros((5, 3, 3))
    born_charges[4, 2, 1] = 0.25  # d dipole_z / d R_(atom 4, y)
    bec = np.array(json.loads(encode({"born_charges": born_charges}))["BEC"])
    assert bec.shape == (15, 3)
    assert bec[3 * 4 + 1, 2] == 0.25
    assert np.count_nonzero(bec) == 1


def test_single_precision_numbers_keep_their_value():
    value = np.float32(0.1)
    assert decode(encode({"dipole": np.array([value])}))["dipole"][0] == float(value)


def test_row_and_file_of_the_record_travel_as_integer_and_text():
    text = encode({"record_row": np.int64(12), "record": "observables.h5"})
    assert json.loads(text) == {"record_row": 12, "record": "observables.h5"}
    assert decode(text)["record"] == "observables.h5"
    assert decode(text)["record_row"] == 12


def test_no_observables_are_no_text():
    assert encode({}) == b""
    assert decode(b"") == {}


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_keys_that_ipi_uses_itself_are_refused(key):
    with pytest.raises(LocalProtocolError, match=repr(key)):
        encode({key: 1.0})


def test_two_names_for_one_key_are_refused():
    with pytest.raises(LocalProtocolError, match="twice"):
        encode({"born_charges": np.zeros((1, 3, 3)), "BEC": np.zeros((3, 3))})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(LocalProtocolError, match=f"'dipole'.*{bad}"):
        encode({"dipole": np.array([0.0, bad, 0.0])})


@pytest.mark.parametrize("text", [b"{", b"[1, 2]", b'{"dipole": [1, [2]]}', b'{"BEC": [1, 2]}'])
def test_a_text_that_we_cannot_read_is_shown(text):
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        decode(text)
