"""Columns of the tables on heat, which model cards show too: without torch, unlike what makes these tables."""

from deepfake.reports.columns import Column, estimate, number, text

SIGNED = "{:+.1%}"
SIZE = Column("n (groups)", {"": "images", "groups": "groups"}, "{:,} ({})".format)
LOOKS = [
    number("Heat on the face", "face", "{:.1%}"),
    number("Its area", "face_area", "{:.1%}"),
    estimate("Excess [95% CI]", "face_excess", "face_low", "face_high", SIGNED),
    estimate("Border: excess", "border_excess", "border_low", "border_high", SIGNED),
    estimate("Background: excess", "background_excess", "background_low", "background_high", SIGNED),
    SIZE,
    number("No heat", "without_heat", "{:,}"),
]
ATTENTION = [
    text("Experiment", "experiment"),
    text("Source", "source"),
    text("Decided", "verdict"),
    *LOOKS,
]
