"""Inputs as people really have them, each small, with what a correct product answers: expected.json.

usage: python make_cases.py OUT        (numpy, pillow, scikit-learn; image files are drawn, no photographs)
Modelled on public bug reports and data sets: Kaggle real/fake tables, ASVspoof and DFDC files, FaceForensics++ and CIFAKE folders, camera and editor files.
"""

import io
import json
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sklearn.metrics import accuracy_score, roc_auc_score

OUT = Path(sys.argv[1])
rng = np.random.default_rng(7)
N = 120
y = np.arange(N) % 2  # 1 is fake
p = np.clip(np.where(y, 0.66, 0.34) + rng.normal(0, 0.18, N), 0.01, 0.99)
auc, acc = float(roc_auc_score(y, p)), float(accuracy_score(y, p >= 0.5))
expected: dict[str, dict] = {}


def table(name: str, text: str, want: dict, encoding: str = "utf-8") -> None:
    path = OUT / "predictions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    expected[f"predictions/{name}"] = want


def rows(header: str, line) -> str:
    return header + "\n" + "".join(line(i, y[i], p[i]) + "\n" for i in range(N))


word = lambda label: "fake" if label else "real"
good = {"auc": auc, "accuracy": acc}
table(
    "is_real.csv",
    rows("file,is_real,p_fake", lambda i, t, s: f"{i}.jpg,{1 - t},{s:.6f}"),
    {"options": "--truth is_real", **good, "why": "a column called is_real says that 1 is real"},
)
table(
    "percent.csv",
    rows("file,label,score", lambda i, t, s: f"{i}.jpg,{word(t)},{100 * s:.4f}"),
    {
        "auc": auc,
        "why": "0..100 is percent (threshold 50), or no call-based figure without --threshold; never a threshold of 0 that calls everything fake",
    },
)
table(
    "confidence.csv",
    rows("file,true,pred,score", lambda i, t, s: f"{i}.jpg,{word(t)},{word(s > 0.5)},{max(s, 1 - s):.6f}"),
    {
        "accuracy": float(accuracy_score(y, p > 0.5)),
        "why": "score is the confidence in the call: calls and scores contradict each other, which is reported; convertible to AUC "
        + f"{auc:.4f}",
    },
)
table(
    "higher_is_real.csv",
    rows("file,label,score", lambda i, t, s: f"{i}.flac,{'spoof' if t else 'bonafide'},{1 - s:.6f}"),
    {"options": "--higher real", **good, "why": "without the option: 'below chance' names it"},
)
table(
    "decimal_comma.csv",
    rows("file;label;score", lambda i, t, s: f"{i}.jpg;{word(t)};{s:.6f}".replace("0.", "0,")),
    good,
)
table("excel_sep.csv", "sep=;\n" + rows("file;label;score", lambda i, t, s: f"{i}.jpg;{word(t)};{s:.6f}"), good)
table("utf16.csv", rows("file,label,score", lambda i, t, s: f"{i}.jpg,{word(t)},{s:.6f}"), good, "utf-16")
table("pipes.csv", rows("file|label|score", lambda i, t, s: f"{i}.jpg|{word(t)}|{s:.6f}"), good)
table(
    "two_columns.csv",
    rows("file,label,prob_real,prob_fake", lambda i, t, s: f"{i}.jpg,{word(t)},{1 - s:.6f},{s:.6f}"),
    good,
)
table(
    "asvspoof_scores.txt",
    "".join(f"LA_E_{1000 + i} {'spoof' if y[i] else 'bonafide'} {np.log((1 - p[i]) / p[i]):.6f}\n" for i in range(N)),
    {
        "options": "--higher real",
        "auc": auc,
        "why": "blanks separate, no header: columns by kind or by number (--truth 2 --score 3)",
    },
)
table(
    "asvspoof_only_scores.txt",
    "".join(f"LA_E_{1000 + i} {np.log((1 - p[i]) / p[i]):.6f}\n" for i in range(N)),
    {
        "options": "--higher real --key asvspoof_key.txt",
        "auc": auc,
        "why": "truth from the key by utterance; attack A07.. as source, speaker as group",
    },
)
table(
    "asvspoof_key.txt",
    "".join(
        f"LA_{i // 6:04d} LA_E_{1000 + i} - {('A%02d' % (7 + i % 13)) if y[i] else '-'} {'spoof' if y[i] else 'bonafide'}\n"
        for i in range(N)
    ),
    {"role": "key"},
)
table(
    "dfdc.csv",
    rows("filename,label", lambda i, t, s: f"{i}.mp4,{s:.6f}"),
    {
        "options": "--key dfdc_metadata.json",
        "auc": auc,
        "why": "label holds probabilities; without --key the message says so",
    },
)
table(
    "dfdc_metadata.json",
    json.dumps(
        {
            f"{i}.mp4": {
                "label": "FAKE" if y[i] else "REAL",
                "split": "train",
                **({"original": f"{i - 1}.mp4"} if y[i] else {}),
            }
            for i in range(N)
        }
    ),
    {"role": "key"},
)
video = np.arange(N) // 6 * 2 + y
clip = {v: p[video == v].mean() for v in np.unique(video)}
table(
    "frames.csv",
    rows("video,frame,label,score", lambda i, t, s: f"v{video[i]},{i},{word(t).upper()},{s:.6f}"),
    {
        "options": "--aggregate mean --group video",
        "auc": float(roc_auc_score([v % 2 for v in clip], list(clip.values()))),
        "n": len(clip),
        "why": "one row a frame: which level is reported is said; per video on request",
    },
)
missing = np.arange(N) % 10 == 3
table(
    "nan_scores.csv",
    rows("file,label,score", lambda i, t, s: f"{i}.jpg,{word(t)},{'' if missing[i] else f'{s:.6f}'}"),
    {
        "options": "--missing skip",
        "auc": float(roc_auc_score(y[~missing], p[~missing])),
        "n": int((~missing).sum()),
        "missing": int(missing.sum()),
        "why": "no face, no score; also --missing 0.5; counted and said; without the option exit 2",
    },
)
table(
    "minus_inf.csv",
    rows("file,label,score", lambda i, t, s: f"{i}.jpg,{word(t)},{'-inf' if s < 0.2 else f'{np.log(s):.6f}'}"),
    {"auc": float(roc_auc_score(y, np.where(p < 0.2, -1e9, np.log(p)))), "why": "infinities rank"},
)
table(
    "only_fakes.csv",
    rows("file,label,pred", lambda i, t, s: f"{i}.jpg,fake,{word(s > 0.5)}"),
    {"recall": float((p > 0.5).mean()), "auc": None, "why": "one class: the share found with its interval; AUC '-'"},
)
kinds = ["original", "Deepfakes", "original", "Face2Face", "original", "NeuralTextures"]
table(
    "methods.csv",
    rows("file,label,score", lambda i, t, s: f"{i}.png,{kinds[i % 6]},{s:.6f}"),
    {"options": "--negative original", **good, "why": "all others are fake; each is a source of its own in the table"},
)


def jpeg(im: Image.Image, **kw) -> bytes:
    b = io.BytesIO()
    im.save(b, "JPEG", quality=90, **kw)
    return b.getvalue()


def face(seed: int, w: int = 96, h: int = 120) -> Image.Image:
    r = np.random.default_rng(seed)
    im = Image.fromarray(
        np.clip(r.normal(120, 12, (h, w, 3)) + np.linspace(-40, 40, w)[None, :, None], 0, 255).astype(np.uint8)
    )
    ImageDraw.Draw(im).ellipse(
        (w * 0.2, h * 0.15, w * 0.8, h * 0.9), fill=tuple(int(v) for v in r.integers(90, 220, 3))
    )
    return im


def put(path: str, data: bytes) -> None:
    (OUT / path).parent.mkdir(parents=True, exist_ok=True)
    (OUT / path).write_bytes(data)


def segment(data: bytes, payload: bytes, at: int) -> bytes:
    """Insert an APP1 segment behind the segment that ends at a byte."""
    return data[:at] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[at:]


plain = jpeg(face(1), dpi=(72, 72))
after_jfif = 4 + struct.unpack(">H", plain[4:6])[0]
put("images/broken_exif.jpg", segment(plain, b"Exif\0\0" + bytes([0, 8, 0, 2, 1, 18, 0, 3]), after_jfif))
expected["images/broken_exif.jpg"] = {
    "as": "decoded, orientation 1, noted",
    "why": "the pixels are whole; a quarantine would hit camera photographs alone",
}
xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='6'/></rdf:RDF></x:xmpmeta>"
put("images/xmp_orientation.jpg", segment(plain, xmp, after_jfif))
expected["images/xmp_orientation.jpg"] = {"as": "the same pixels and size under every loader"}
rgba = np.dstack(
    [np.full((64, 64), v, np.uint8) for v in (120, 30, 60)]
    + [np.tile((np.arange(64) > 31).astype(np.uint8) * 255, (64, 1))]
)
b = io.BytesIO()
Image.fromarray(rgba, "RGBA").save(b, "PNG")
put("images/hidden_colour.png", b.getvalue())
expected["images/hidden_colour.png"] = {
    "as": "left half is the background that the documentation names (white), not 120,30,60; such files are counted"
}
for ext, kind in (("gif", "GIF"), ("avif", "AVIF"), ("jp2", "JPEG2000")):
    b = io.BytesIO()
    try:
        face(2).save(b, kind)
        put(f"images/still.{ext}", b.getvalue())
        expected[f"images/still.{ext}"] = {
            "as": "decoded (pillow reads it), or refused by the name of its format with what to do"
        }
    except (OSError, KeyError):
        pass

for i in range(8):
    for part in ("train", "test"):
        put(
            f"cifake/{part}/{'REAL' if i % 2 else 'FAKE'}/{part}{i:04d}.jpg",
            jpeg(face(100 + i + (50 if part == "test" else 0))),
        )
        put(f"numbered/{'0_real' if i % 2 else '1_fake'}/{part}{i}.png.jpg", jpeg(face(200 + i)))
        put(f"inside/{'real' if i % 2 else 'fake'}/{part}/{i}.jpg", jpeg(face(300 + i + (50 if part == "test" else 0))))
expected |= {
    k: {
        "as": "real and fake found at any depth, capitals and digits before them do not matter; what was found is printed; train/test is no source"
    }
    for k in ("cifake", "numbered", "inside")
}
for video_id, who in (("000", 1), ("003", 2), ("000_003", 3), ("001", 4), ("870", 5), ("001_870", 6)):
    kind = "fake/Deepfakes" if "_" in video_id else "real/youtube"
    for f in range(3):
        put(f"ffpp/{kind}/c23/frames/{video_id}/{f:04d}.jpg", jpeg(face(10 * who + f)))
expected["ffpp"] = {
    "groups": [["000", "003", "000_003"], ["001", "870", "001_870"]],
    "why": "a swap shows two people: it is in one group with both. A rule in the catalog takes identities from the path; without one, ingest warns that names of real groups are part of fake groups' names",
}
lines = ["path,label,group"]
for i in range(12):
    put(f"words/img/{i}.jpg", jpeg(face(400 + i)))
    lines.append(
        f"img\\{i}.jpg,{['REAL', 'Fake', 'bona-fide', 'spoof', 'real ', '1.0', '0.0', 'True', 'genuine', 'deepfake', 'original', 'synthetic'][i]},{'' if i == 4 else i // 2}"
    )
put("words/labels.csv", "\n".join(lines).encode())
expected["words/labels.csv"] = {
    "as": "the words that `evaluate` knows; backslashes; an empty group is a group of its own; 0.0/1.0/True mixed with words are refused by line, with all bad lines counted"
}
kaggle = [",original_path,id,label,label_str,path"]
for i in range(8):
    real = i % 2 == 0
    put(f"kaggle/train/{'real' if real else 'fake'}/{i}.jpg", jpeg(face(500 + i)))
    kaggle.append(
        f"{i},/k/{i}.jpg,{i},{1 if real else 0},{'real' if real else 'fake'},train/{'real' if real else 'fake'}/{i}.jpg"
    )
put("kaggle/labels.csv", "\n".join(kaggle).encode())
expected["kaggle/labels.csv"] = {
    "as": "here 1 means real: a number that contradicts a word in the path or another column is an error that shows both; a catalog key (`positive: 0`) settles it"
}
for i in range(6):
    put(f"sidecars/{'real' if i % 2 else 'fake'}/{i}.jpg", jpeg(face(600 + i)))
    put(f"sidecars/{'real' if i % 2 else 'fake'}/{i}.txt", b"a caption")
    put(f"sidecars/{'real' if i % 2 else 'fake'}/{i}.json", b"{}")
put("sidecars/real/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", jpeg(face(600)))
expected["sidecars"] = {
    "as": "6 samples, 0 quarantined; 12 other files and 1 thumbnail folder passed over, counted and said"
}
blank = jpeg(Image.new("RGB", (64, 64), 128))
for i in range(3000):
    put(f"placeholder/{'real' if i % 2 else 'fake'}/{i}.jpg", blank if i < 2900 else jpeg(face(i)))
expected["placeholder"] = {
    "as": "linear time and memory (union-find); 'one file in 2,900 groups, real and fake' is said, not silently one giant group"
}
for name in ("a.mp4", "b.MOV", "notes.txt"):
    put(f"clips/{name}", b"\0" * 64)
expected["clips"] = {"as": "predict: exit 2, says what the files are"}
(OUT / "expected.json").write_text(json.dumps(expected, indent=1))
print(len(expected), "cases in", OUT)
