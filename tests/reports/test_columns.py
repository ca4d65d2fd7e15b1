import numpy as np
import pandas as pd

from deepfake.reports.columns import Table, estimate, interval, mean, number, text

NUMBERS = pd.DataFrame(
    {"name": ["a", "b"], "auc": [0.75, np.nan], "auc_std": [0.1, np.nan], "low": [0.5, 1], "high": [0.9, 2]}
)
TABLE = Table(
    NUMBERS, [text("Model", "name"), mean("AUC", "auc"), interval("CI", "low", "high"), number("Low", "low", "{:+.1f}")]
)


def test_the_csv_has_the_headings_first_and_the_rest_to_the_right():
    shown = TABLE.csv()
    assert list(shown) == ["Model", "AUC", "Low", "AUC std", "CI low", "CI high"]
    assert shown["AUC std"][0] == 0.1
    assert shown["CI high"].tolist() == [0.9, 2]


def test_cells_for_people_are_rounded_and_what_is_missing_is_a_dash():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.markdown().splitlines()]
    assert rows[0] == ["Model", "AUC", "CI", "Low"]
    assert rows[2] == ["a", "0.750 ± 0.100", "[0.500, 0.900]", "+0.5"]
    assert rows[3] == ["b", "-", "[1.000, 2.000]", "+1.0"]


def test_two_columns_of_one_heading_both_stay():
    both = Table(NUMBERS, [number("100%", "low"), number("100%", "high")])
    assert both.csv().to_numpy().tolist() == [[0.5, 0.9], [1, 2]]


def test_a_figure_without_an_interval_stands_alone():
    numbers = pd.DataFrame({"a": [0.5, 0.25, None], "low": [0.4, None, None], "high": [0.6, None, None]})
    shown = Table(numbers, [estimate("A", "a", "low", "high"), interval("CI", "low", "high")])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.markdown().splitlines()[2:]]
    assert cells == [["0.500 [0.400, 0.600]", "[0.400, 0.600]"], ["0.250", "-"], ["-", "-"]]
