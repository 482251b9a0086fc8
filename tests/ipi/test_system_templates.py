"""Systems that a ``<system_template>`` makes are those that i-PI makes of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from mlobs_client.ipi.system_templates import fill_templates

TEMPLATE = """<simulation>{before}<system_template><labels> [ T1, T10, W ] </labels>{instances}
<template><system prefix='T1_T10'><forces><force weight='W'/></forces>
<ensemble><temperature> T10 </temperature></ensemble></system></template></system_template>
</simulation>"""
TWO = "<instance> [ 280, 'hot', 0.5 ] </instance><instance> [300, cold, 1.0] </instance>"


def test_the_first_instance_is_filled_into_texts_and_attributes() -> None:
    root = ET.fromstring(TEMPLATE.format(before="", instances=TWO))
    fill_templates(root)
    (system,) = root.findall("system_template/template/system")
    (force,) = system.iter("force")
    assert system.get("prefix") == "280_hot"
    assert system.findtext("ensemble/temperature") == " hot "
    assert force.get("weight") == "0.5"


def test_a_label_that_begins_another_one_is_filled_last() -> None:
    root = ET.fromstring(TEMPLATE.format(before="", instances=TWO))
    assert fill_templates(root) == ("280_hot", "300_cold")  # not 2800


def test_systems_outside_of_the_template_count_too_and_come_first() -> None:
    before = "<system prefix=' a '/><system/>"
    root = ET.fromstring(TEMPLATE.format(before=before, instances=TWO))
    assert fill_templates(root) == ("a", "", "280_hot", "300_cold")


def test_without_systems_there_is_one_without_a_prefix() -> None:
    assert fill_templates(ET.fromstring("<simulation/>")) == ("",)


def test_a_template_without_instances_makes_nothing_and_is_left_as_it_is() -> None:
    root = ET.fromstring(TEMPLATE.format(before="", instances=""))
    before = ET.tostring(root)
    assert fill_templates(root) == ("",)
    assert ET.tostring(root) == before
