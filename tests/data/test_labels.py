import pytest

from deepfake import tables
from deepfake.datasets import labels
from deepfake.errors import InputError


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_labels_are_words_or_numbers(written):
    rows = labels.read(written("path,label\na.jpg,real\nb.jpg,fake\nc.jpg,0\nd.jpg,1\n"))
    assert [row.label for row in rows] == [tables.REAL, tables.FAKE, tables.REAL, tables.FAKE]
    assert [row.source for row in rows] == ["real", "fake", "real", "fake"]
    assert {row.group for row in rows} == {""}


def test_source_and_group_are_taken_from_any_place_in_the_row(written):
    (row,) = labels.read(written("group,age,path,source,label\nanna,31,x/a.jpg,swap,fake\n"))
    assert row == labels.Row("x/a.jpg", tables.FAKE, "swap", "anna")


@pytest.mark.parametrize(
    "text",
    [
        "path,label\r\na.jpg,real\r\nb.jpg,fake\r\n",
        "\ufeffpath,label\na.jpg,real\nb.jpg,fake\n",
        "path, label\na.jpg, real\n\n\nb.jpg, fake",
        'path,label\n"a.jpg","real"\n./b.jpg,fake\n',
    ],
    ids=["CRLF", "byte order mark", "spaces and blank lines", "quotes and a dot"],
)
def test_what_spreadsheets_write_is_understood(written, text):
    assert [(row.path, row.label) for row in labels.read(written(text))] == [("a.jpg", 0), ("b.jpg", 1)]


def test_commas_spaces_and_unicode_in_paths(written):
    (row,) = labels.read(written('path,label\n"Žofie, 人/a b.jpg",real\n'))
    assert row.path == "Žofie, 人/a b.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the file is empty; it needs the columns path and label"),
        ("file,label\n", r"line 1: no column path; found: file, label"),
        ("a,b\n", r"line 1: no column path and label"),
        ("path;label\na.jpg;real\n", r"line 1: the columns are not separated by commas"),
        ("path\tlabel\na.jpg\treal\n", r"line 1: the columns are not separated by commas"),
        ("path,label,gruop\n", r"line 1: unknown column 'gruop'; did you mean group\?"),
        ("path,label,Source\n", r"line 1: unknown column 'Source'; did you mean source\?"),
        ("path,label,path\n", r"line 1: column 'path' stands there more than once"),
        ("path,label\na.jpg,real\nb.jpg,true\n", r"line 3: unknown label 'true'; write real or fake"),
        ("path,label\n\n\na.jpg,Real\n", r"line 4: unknown label 'Real'"),
        ("path,label\na.jpg,\n", r"line 2: no label; fill it in"),
        ("path,label\n,real\n", r"line 2: no path; fill it in"),
        ("path,label,group\na.jpg,real,\n", r"line 2: no group; fill it in"),
        ("path,label\na.jpg,real\nb.jpg,fake\na.jpg,fake\n", r"line 4: a\.jpg stands in line 2 already"),
        ("path,label\na.jpg,real\n./a.jpg,real\n", r"line 3: a\.jpg stands in line 2 already"),
        ("path,label\na,b.jpg,real\n", r"line 2: 3 values for 2 columns"),
        ("path,label\na.jpg\n", r"line 2: 1 values for 2 columns"),
        ("path,label\n../a.jpg,real\n", r"line 2: '\.\./a\.jpg' does not stay in the table's folder"),
        ("path,label\nx/../../a.jpg,real\n", r"line 2: 'x/\.\./\.\./a\.jpg' does not stay"),
        ("path,label\n/a.jpg,real\n", r"line 2: '/a\.jpg' does not stay"),
        ("path,label\nx\\a.jpg,real\n", r"line 2: .* with / between folders"),
        ('path,label\n"a.jpg,real\n', r"line 2: not valid CSV"),
        ('path,label,note\na.jpg,real,"two\nlines"\nb.jpg,unreal,x\n', r"line 4: unknown label 'unreal'"),
        ("path,label\nM\u00fcller.jpg,real\n".encode("latin-1"), r"not UTF-8; save it again as CSV UTF-8"),
        ("path,label\na.jpg,real\n".encode("utf-16"), r"not UTF-8"),
    ],
)
def test_a_mistake_is_told_by_its_line(written, text, message):
    path = written(text)
    with pytest.raises(InputError, match=message) as caught:
        labels.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
