import os
import stat
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from deepfake.datasets.layouts import listing
from deepfake.errors import InputError


def grow(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def refused(found: listing.Listing) -> dict[str, str]:
    return {entry.path: entry.refused for entry in found.entries if entry.refused}


def taken(found: listing.Listing) -> dict[str, int]:
    return {entry.path: entry.size for entry in found.entries if not entry.refused}


# --- folders


def test_files_at_any_depth_with_their_sizes(tmp_path):
    grow(tmp_path, "a/1.jpg", "a/b c/ž/2.jpg", "x/3.jpg", "elsewhere/4.jpg")
    found = listing.in_folders(tmp_path, ["a", "x"])
    assert taken(found) == {path: len(path.encode()) for path in ("a/1.jpg", "a/b c/ž/2.jpg", "x/3.jpg")}
    assert not refused(found)


def test_litter_is_passed_over_and_counted(tmp_path):
    litter = [".DS_Store", "b/Thumbs.db", "b/desktop.ini", "b/._1.jpg", "__MACOSX/1.jpg", ".hidden/1.jpg", ".git/x/y"]
    grow(tmp_path, "a/b/1.jpg", *(f"a/{name}" for name in litter))
    found = listing.in_folders(tmp_path, ["a"])
    assert taken(found) == {"a/b/1.jpg": 9}
    assert (refused(found), found.passed) == ({}, listing.Passed(hidden=len(litter)))


def test_folders_of_thumbnails_are_counted_apart(tmp_path):
    grow(tmp_path, "a/1.jpg", "a/@eaDir/1.jpg/SYNO.jpg", "a/b/@eaDir/x.jpg", "a/.thumbnails/1.png", "a/ehthumbs.db")
    found = listing.in_folders(tmp_path, ["a"])
    assert set(taken(found)) == {"a/1.jpg"}
    assert found.passed == listing.Passed(hidden=1, thumbnails=3)


def test_the_root_itself_is_listed_by_an_empty_name(tmp_path):
    grow(tmp_path, "raw/1.jpg", "raw/a/2.jpg")
    (tmp_path / "raw/a/loop").symlink_to("..", target_is_directory=True)
    found = listing.in_folders(tmp_path / "raw", [""])
    assert set(taken(found)) == {"1.jpg", "a/2.jpg"}
    assert refused(found) == {"a/loop": "a link to raw, which is read already"}


def test_what_was_passed_over_in_words():
    passed = listing.Passed()
    assert str(passed) == ""
    passed.add(listing.Passed(hidden=1))
    assert str(passed) == "1 hidden or system file"
    passed.add(listing.Passed(hidden=2, thumbnails=1, others=Counter({".txt": 6, ".json": 7})))
    assert str(passed) == "13 other files (7 .json, 6 .txt), 1 thumbnail folder and 3 hidden or system files"


def test_links_to_files_and_folders_are_followed(tmp_path):
    grow(tmp_path, "far/away/1.jpg", "far/2.jpg", "a/3.jpg")
    (tmp_path / "a/linked").symlink_to(tmp_path / "far/away", target_is_directory=True)
    (tmp_path / "a/2.jpg").symlink_to("../far/2.jpg")
    (tmp_path / "b").symlink_to("far", target_is_directory=True)
    assert taken(listing.in_folders(tmp_path, ["a"])) == {"a/3.jpg": 7, "a/2.jpg": 9, "a/linked/1.jpg": 14}
    assert set(taken(listing.in_folders(tmp_path, ["b"]))) == {"b/2.jpg", "b/away/1.jpg"}


@pytest.mark.parametrize("target", [".", "..", "../..", "deep", "/"], ids=str)
def test_a_loop_of_links_ends(tmp_path, target):
    grow(tmp_path, "raw/a/deep/er/1.jpg")
    where = tmp_path / "raw/a/deep/er"
    if target == "/":  # two links that lead to each other's folder
        grow(tmp_path, "raw/a/other/2.jpg")
        (where / "there").symlink_to("../../other")
        (tmp_path / "raw/a/other/back").symlink_to("../deep/er")
    else:
        (where / "loop").symlink_to(target if target != "deep" else "../../deep")
    found = listing.in_folders(tmp_path / "raw", ["a"])
    assert "raw/a/deep/er/1.jpg" in {f"raw/{path}" for path in taken(found)}
    assert len(refused(found)) == (2 if target == "/" else 1)
    assert all("is read already" in reason for reason in refused(found).values())


def test_a_link_never_makes_fakes_real(tmp_path):
    grow(tmp_path, "real/1.jpg", "fake/2.jpg")
    (tmp_path / "real/all").symlink_to("..", target_is_directory=True)
    (tmp_path / "real/others").symlink_to("../fake", target_is_directory=True)
    found = listing.in_folders(tmp_path, ["real", "fake"])
    assert set(taken(found)) == {"real/1.jpg", "fake/2.jpg"}
    assert refused(found)["real/others"] == "a link to fake, which is read already"


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    grow(tmp_path, "a/1.jpg")
    (tmp_path / "a/gone.jpg").symlink_to("missing.jpg")
    (tmp_path / "a/self.jpg").symlink_to("self.jpg")
    found = listing.in_folders(tmp_path, ["a"])
    assert refused(found) == dict.fromkeys(["a/gone.jpg", "a/self.jpg"], "a link that leads nowhere")
    assert set(taken(found)) == {"a/1.jpg"}


def test_what_is_no_file_is_refused(tmp_path):
    grow(tmp_path, "a/1.jpg")
    os.mkfifo(tmp_path / "a/pipe.jpg")  # reading it would wait for ever
    assert refused(listing.in_folders(tmp_path, ["a"])) == {"a/pipe.jpg": "not a regular file"}
    assert listing.at(tmp_path, "a/pipe.jpg").refused == "not a regular file"


def test_a_name_that_is_not_utf8_is_refused_and_can_be_printed(tmp_path):
    grow(tmp_path, "a/1.jpg")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/M\xfcller.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    found = refused(listing.in_folders(tmp_path, ["a"]))
    assert found == {"a/M\\udcfcller.jpg": "its name is not UTF-8"}
    assert all(path.encode() for path in found)


def test_a_path_that_somebody_wrote_down(tmp_path):
    grow(tmp_path, "a/1.jpg")
    assert listing.at(tmp_path, "a/1.jpg") == listing.Entry("a/1.jpg", 7)
    assert listing.at(tmp_path, "a/2.jpg").refused == "file not found"
    assert listing.at(tmp_path, "a").refused == "not a regular file"
    assert listing.at(tmp_path, "a/1.jpg/x").refused == "Not a directory"


@pytest.mark.parametrize("mixed", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_a_path_is_found_in_whatever_form_of_unicode_each_folder_is_stored(tmp_path, mixed):
    path = "/".join(unicodedata.normalize(form, "Müller") for form in mixed)
    grow(tmp_path, f"{path}.jpg")
    for form in ("NFC", "NFD"):
        entry = listing.at(tmp_path, unicodedata.normalize(form, f"{path}.jpg"))
        assert (entry.path, entry.refused) == (f"{path}.jpg", "")
    assert listing.at(tmp_path, "Möller/Müller.jpg").refused == "file not found"


# --- archives


def zipped(path: Path, *names: str | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"" if str(name).endswith("/") else b"12345")
    return path


def test_members_with_their_sizes_and_no_folders(tmp_path):
    found = listing.in_archive(zipped(tmp_path / "x.zip", "p/", "p/a.jpg", "b.jpg"), "ask")
    assert taken(found) == {"p/a.jpg": 5, "b.jpg": 5}


def test_litter_in_an_archive(tmp_path):
    names = ["p/a.jpg", "__MACOSX/p/._a.jpg", "p/.DS_Store", "Thumbs.db", "./p/b.jpg"]
    found = listing.in_archive(zipped(tmp_path / "x.zip", *names), "ask")
    assert set(taken(found)) == {"p/a.jpg", "./p/b.jpg"}
    assert found.passed == listing.Passed(hidden=3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x.jpg", "its path leaves the archive"),
        ("p/../../x.jpg", "its path leaves the archive"),
        ("/abs.jpg", "its path leaves the archive"),
        ("C:\\x.jpg", "its path leaves the archive"),
        ("C:/x.jpg", "its path leaves the archive"),
        ("..\\x.jpg", "its path leaves the archive"),
        ("\\\\host\\x.jpg", "its path leaves the archive"),
        ("p\\x.jpg", "backslashes in its path"),
    ],
)
def test_a_member_that_escapes_is_refused(tmp_path, name, reason):
    member = zipfile.ZipInfo("placeholder")
    member.filename = name
    found = listing.in_archive(zipped(tmp_path / "x.zip", "p/a.jpg", member), "ask")
    assert set(taken(found)) == {"p/a.jpg"}
    assert refused(found)[name].startswith(reason)


def test_a_link_in_an_archive_is_refused(tmp_path):
    link = zipfile.ZipInfo("p/link.jpg")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    assert refused(listing.in_archive(zipped(tmp_path / "x.zip", link), "ask")) == {
        "p/link.jpg": "a link in the archive"
    }


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_an_error_that_says_how_to_get_it(tmp_path, data):
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.zip: not a readable zip archive \(.*\); obtain it again: ask the test"):
        listing.in_archive(path, "ask the test")
