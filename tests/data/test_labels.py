import csv
import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake import tables
from deepfake.datasets import labels
from deepfake.datasets.catalog import DataSet
from deepfake.datasets.layouts import adapters
from deepfake.errors import InputError

REAL = [
    "real",
    "REAL",
    " Real ",
    "bona-fide",
    "bonafide",
    "genuine",
    "original",
    "authentic",
    "human",
    "live",
    "pristine",
]
FAKE = ["fake", "FAKE", "Fake ", "spoof", "deepfake", "synthetic", "generated", "AI", "ai-generated", "manipulated"]


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def rows_of(words: list[str]) -> str:
    return "path,label\n" + "".join(f"{number}.jpg,{word}\n" for number, word in enumerate(words))


# --- labels


@pytest.mark.parametrize(
    "pair",
    [
        ("0", "1"),
        ("0.0", "1.0"),
        ("False", "True"),
        ("no", "YES"),
        *itertools.zip_longest(REAL, FAKE, fillvalue="fake"),
    ],
)
def test_labels_are_words_or_numbers(written, pair):
    found = labels.read(written(rows_of([*pair, *pair[::-1]])))
    assert [row.label for row in found] == [tables.REAL, tables.FAKE, tables.FAKE, tables.REAL]
    assert [row.source for row in found] == ["real", "fake", "fake", "real"]
    assert {row.group for row in found} == {""}


def test_numbers_among_words_are_refused_by_line_and_all_are_counted(written):
    words = ["REAL", "Fake", "bona-fide", "spoof", "real ", "1.0", "0.0", "True", "genuine", "deepfake"]
    with pytest.raises(InputError) as caught:
        labels.read(written(rows_of(words)))
    message = str(caught.value)
    assert "3 of 10 rows cannot be used: line 7: label '1.0' is a number among words; line 8: label '0.0'" in message
    assert "line 9: label 'True'" in message and "write real or fake" in message


def test_of_many_bad_lines_five_are_shown_in_their_order(written):
    text = rows_of(["real", "unreal", "", "fake", *["maybe"] * 7]) + "../a.jpg,real\n,fake\n0.jpg,real\n"
    with pytest.raises(InputError) as caught:
        labels.read(written(text))
    message = str(caught.value)
    assert "12 of 14 rows cannot be used: line 3: unknown label 'unreal'; line 4: no label; line 6: " in message
    assert "; and 7 more; " in message and message.count("line ") == 5


@pytest.mark.parametrize(
    ("column", "one"), [("is_real", 0), ("isReal", 0), ("bonafide", 0), ("real", 0), ("is_fake", 1)]
)
def test_the_name_of_the_column_says_what_one_means(written, column, one):
    found = labels.read(written(f"path,{column}\na.jpg,1\nb.jpg,0\n"))
    assert [row.label for row in found] == [one, 1 - one]


KAGGLE = ",original_path,id,label,label_str,path\n" + "".join(
    f"{i},/k/{i}.jpg,{i},{1 - i % 2},{kind},train/{kind}/{i}.jpg\n" for i, kind in enumerate(["real", "fake"] * 4)
)


def test_numbers_that_contradict_words_are_an_error_that_shows_both(written):
    with pytest.raises(InputError) as caught:
        labels.read(written(KAGGLE))
    message = str(caught.value)
    assert "line 2: '1' in column 'label' would mean fake, but 'real' in column 'label_str' says real" in message
    assert "positive: 0" in message and "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "path,label\ntrain/real/a.jpg,1\ntrain/fake/b.jpg,0\n",
        "path,label\ntrain\\0_real\\a.jpg,1\ntrain\\1_fake\\b.jpg,0\n",
        "path,label\nreal_1.jpg,1\nfake_1.jpg,0\n",
        "path,label,is_real\na.jpg,1,1\nb.jpg,0,0\n",
        "path,label,is_fake\na.jpg,1,0\nb.jpg,0,1\n",
        "path,is_real\nreal/a.jpg,0\nfake/b.jpg,1\n",
    ],
)
def test_words_are_looked_for_in_folders_files_and_columns(written, text):
    with pytest.raises(InputError, match=r"line 2: '[01]' in column .* but .* says (real|fake)"):
        labels.read(written(text))
    assert len(labels.read(written(text), positive=["0"])) == 2
    swapped = text.replace(",1", ",x").replace(",0", ",1").replace(",x", ",0")
    if text.count(",") == 4:
        assert len(labels.read(written(swapped))) == 2


def test_words_that_agree_are_no_matter(written):
    text = "path,label,kind\nx/real/a.jpg,0,original\nx/fake/b.jpg,1,spoof\nx/fake/c.jpg,1.0,spoof\n"
    assert [row.label for row in labels.read(written(text))] == [0, 1, 1]


@pytest.mark.parametrize("positive", ["0", "0.0"])
def test_the_catalog_says_which_number_means_fake(written, positive):
    found = labels.read(written(KAGGLE), positive=[positive])
    assert [row.label for row in found] == [0, 1] * 4
    assert [row.path for row in found] == [f"train/{kind}/{i}.jpg" for i, kind in enumerate(["real", "fake"] * 4)]


def test_all_but_the_named_reals_are_fakes_and_sources(written):
    path = written(rows_of(["original", "Deepfakes", "Face2Face", "original"]))
    found = labels.read(path, negative=["original"])
    assert [row.label for row in found] == [0, 1, 1, 0]
    assert [row.source for row in found] == ["original", "Deepfakes", "Face2Face", "original"]
    with pytest.raises(InputError, match=r"1 of 4 rows cannot be used: line 4: unknown label 'Face2Face'"):
        labels.read(path)
    assert {row.source for row in labels.read(written(rows_of(["1", "0"])), negative=["1"])} == {"real", "fake"}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"positive": ["2"]}, r"no label '2'; found: 'original', 'Deepfakes', 'Face2Face'"),
        ({"positive": ["deepfakes"]}, r"neither named by positive nor by negative; name the real ones by negative"),
        ({"positive": ["original"], "negative": ["original"]}, r"named by both positive and negative"),
    ],
)
def test_what_the_catalog_says_has_to_fit(written, told, message):
    path = written(rows_of(["original", "Deepfakes", "Face2Face"]))
    with pytest.raises(InputError, match=message) as caught:
        labels.read(path, **told)
    assert "--" not in str(caught.value)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(REAL + FAKE), st.text("ab/ ,;'", max_size=8)), min_size=1, max_size=8))
def test_what_csv_writes_is_read_back(tmp_path_factory, drawn):
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["label", "note", "path"])
    writer.writerows([word, note, f"x/{number}.jpg"] for number, (word, note) in enumerate(drawn))
    path = tmp_path_factory.mktemp("drawn") / "labels.csv"
    path.write_text(stream.getvalue())
    found = labels.read(path)
    assert [row.path for row in found] == [f"x/{number}.jpg" for number in range(len(drawn))]
    assert [row.label for row in found] == [int(word in FAKE) for word, _ in drawn]


# --- columns


def test_source_and_group_are_taken_from_any_place_in_the_row(written):
    (row,) = labels.read(written("group,age,path,source,label\nanna,31,x/a.jpg,swap,fake\n"))
    assert row == labels.Row("x/a.jpg", tables.FAKE, "swap", "anna")


def test_an_empty_group_or_source_is_what_it_would_be_without_the_column(written):
    first, other = labels.read(written("path,label,group,source\na.jpg,real,,\nb.jpg,fake,anna,swap\n"))
    assert (first.group, first.source) == ("", "real")
    assert (other.group, other.source) == ("anna", "swap")


def test_a_sample_of_an_empty_group_is_grouped_by_the_catalog(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label,group\nimg\\a.jpg,real,\nimg\\b.jpg,fake,anna\n")
    (tmp_path / "img").mkdir()
    for name in "ab":
        (tmp_path / f"img/{name}.jpg").touch()
    keys = {"title": "t", "modality": "image", "adapter": "folder", "group": "file", "licence": "n", "obtain": "o"}
    files = adapters.find(tmp_path, DataSet.model_validate(keys | {"table": "labels.csv"})).files
    assert [(file.path, file.group) for file in files] == [("img/a.jpg", "img/a.jpg"), ("img/b.jpg", "anna")]


@pytest.mark.parametrize(
    "text",
    [
        "file,label,speaker\na.jpg,real,anna\n",
        "Path,LABEL,Group\na.jpg,real,anna\n",
        "filename,class,person id\na.jpg,real,anna\n",
        "image_path,is_real,identity\na.jpg,1,anna\n",
        "original_path,target,video_id\na.jpg,0,anna\n",
        "path,original_path,label,class,label_str,group,speaker\na.jpg,/k/a.jpg,real,3,real,anna,7\n",
        "file;class;is_fake;subject\na.jpg;7;0;anna\n",
    ],
)
def test_columns_have_known_names_and_their_own_name_counts_first(written, text):
    assert labels.read(written(text)) == [labels.Row("a.jpg", tables.REAL, "real", "anna")]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("file,image,label\na.jpg,b.jpg,real\n", {"path": "file"}, r"'file', 'image' may hold the path; rename"),
        ("path,target,y\na.jpg,0,1\n", {"label": "target"}, r"'target', 'y' may hold the label; .* columns: {label"),
        ("path,is_fake,is_real\na.jpg,0,1\n", {"label": "is_fake"}, r"columns 'is_fake', 'is_real' may hold the label"),
        ("path,label,video,speaker\na.jpg,0,1,2\n", {"group": "speaker"}, r"'video', 'speaker' may hold the group"),
        ("where,what\na.jpg,real\n", {"path": "where", "label": "what"}, r"no column path and label; found: where"),
        ("a.jpg,real\nb.jpg,real\n", {"path": "1", "label": "2"}, r"line 1: it names no columns; write path"),
    ],
)  # fmt: skip
def test_two_readings_are_asked_about_and_the_catalog_answers(written, text, columns, message):
    with pytest.raises(InputError, match=message):
        labels.read(written(text))
    first = labels.read(written(text), columns=columns)[0]
    assert (first.path, first.label) == ("a.jpg", tables.REAL)
    assert first.group == ("2" if "group" in columns else "")


def test_a_column_of_the_catalog_that_is_not_there_is_named(written):
    with pytest.raises(InputError, match=r"columns\.path in the catalog: unknown column 'fil'; did you mean file"):
        labels.read(written("file,label\na.jpg,real\n"), columns={"path": "fil"})


@pytest.mark.parametrize("key", [{"positive": 0}, {"negative": ["original"]}, {"columns": {"path": "file"}}])
def test_keys_for_a_table_need_one(key):
    keys = {"title": "t", "modality": "image", "adapter": "folder", "group": "file", "licence": "n", "obtain": "o"}
    with pytest.raises(ValueError, match="add the key table"):
        DataSet.model_validate(keys | key)
    DataSet.model_validate(keys | key | {"table": "labels.csv"})


def test_the_catalog_reaches_the_table(tmp_path):
    (tmp_path / "labels.csv").write_text("a.jpg,1\nb.jpg,0\n")
    for name in "ab":
        (tmp_path / f"{name}.jpg").touch()
    keys = {"title": "t", "modality": "image", "adapter": "folder", "group": "file", "licence": "n", "obtain": "o"}
    keys |= {"table": "labels.csv", "positive": 0, "columns": {"path": 1, "label": 2}}
    assert [file.label for file in adapters.find(tmp_path, DataSet.model_validate(keys)).files] == [0, 1]


# --- files


@pytest.mark.parametrize(
    "text",
    [
        "path,label\r\na.jpg,real\r\nb.jpg,fake\r\n",
        "\ufeffpath,label\na.jpg,real\nb.jpg,fake\n",
        "path, label\na.jpg, real\n\n\nb.jpg, fake",
        'path,label\n"a.jpg","real"\n./b.jpg,fake\n',
        "path;label\na.jpg;real\nb.jpg;fake\n",
        "path\tlabel\na.jpg\treal\nb.jpg\tfake\n",
        "sep=;\npath;label\na.jpg;real\nb.jpg;fake\n",
        "path,label\na.jpg,real\nb.jpg,fake\n".encode("utf-16"),
    ],
    ids=["CRLF", "byte order mark", "blanks", "quotes and a dot", "semicolons", "tabs", "sep=", "UTF-16"],
)
def test_what_spreadsheets_write_is_understood(written, text):
    assert [(row.path, row.label) for row in labels.read(written(text))] == [("a.jpg", 0), ("b.jpg", 1)]


def test_a_table_without_rows_has_none(written):
    assert labels.read(written("path,label,group\n")) == []


def test_commas_spaces_and_unicode_in_paths(written):
    (row,) = labels.read(written('path,label\n"Žofie, 人/a b.jpg",real\n'))
    assert row.path == "Žofie, 人/a b.jpg"


def test_backslashes_part_folders(written):
    (row,) = labels.read(written("path,label\nx\\y z\\a.jpg,real\n"))
    assert row.path == "x/y z/a.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the file is empty"),
        ("name,label\n", r"line 1: no column path; found: name, label"),
        ("path,label,gruop\n", r"line 1: unknown column 'gruop'; did you mean group\?"),
        ("path,label,path\n", r"line 1: column 'path' is listed more than once"),
        ("path,label\na.jpg,real\nb.jpg,true\n", r"line 3: label 'true' is a number among words"),
        ("path,label\n\n\na.jpg,Reel\n", r"line 4: unknown label 'Reel'; write real or fake"),
        ("path,label\na.jpg,0\nb.jpg,2\n", r"unknown label '2'; .*in the catalog .negative: LABEL."),
        ("path,label\na.jpg,\n", r"line 2: no label"),
        ("path,label\n,real\n", r"line 2: no path"),
        ("path,label\na.jpg,real\nb.jpg,fake\na.jpg,fake\n", r"line 4: a\.jpg is listed in line 2 already"),
        ("path,label\na.jpg,real\n./a.jpg,real\n", r"line 3: a\.jpg is listed in line 2 already"),
        ("path,label\nx/a.jpg,real\nx\\a.jpg,real\n", r"line 3: x/a\.jpg is listed in line 2 already"),
        ("path,label\na,b.jpg,real\n", r"line 2: 3 values for 2 columns"),
        ("path,label\na.jpg\n", r"line 2: 1 values for 2 columns"),
        ("path,label\n../a.jpg,real\n", r"line 2: path '\.\./a\.jpg' does not stay in the table's folder"),
        ("path,label\nx/../../a.jpg,real\n", r"line 2: path 'x/\.\./\.\./a\.jpg' does not stay"),
        ("path,label\nx\\..\\..\\a.jpg,real\n", r"line 2: path .* does not stay"),
        ("path,label\n/a.jpg,real\n", r"line 2: path '/a\.jpg' does not stay"),
        ("path,label\nC:\\x\\a.jpg,real\n", r"line 2: path .* does not stay"),
        ('path,label\n"a.jpg,real\n', r"line 2: not valid CSV"),
        ('path,label,note\na.jpg,real,"two\nlines"\nb.jpg,unreal,x\n', r"line 4: unknown label 'unreal'"),
        ("path,label\nM\u00fcller.jpg,real\n".encode("latin-1"), r"not UTF-8; save it again as CSV UTF-8"),
    ],
)
def test_a_mistake_is_told_by_its_line(written, text, message):
    path = written(text)
    with pytest.raises(InputError, match=message) as caught:
        labels.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["", "NA", "-", "none", "NaN"])
def test_whose_group_and_source_are_not_known_has_none(tmp_path, word):
    path = tmp_path / "labels.csv"
    path.write_text(f"path,label,source,group\na.jpg,real,{word},{word}\nb.jpg,fake,gan,1\n")
    first, second = labels.read(path)
    assert (first.source, first.group) == ("real", "")
    assert (second.source, second.group) == ("gan", "1")
