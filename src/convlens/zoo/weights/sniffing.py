"""Find out by its first bytes what a file is: weights that are read here, or something else."""

from __future__ import annotations

import json
import mimetypes
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Found", "in_place_of_a_network", "sniffed"]

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of files of torch.save from before torch 1.6: a pickled number."""

_AGAIN = "copy or download it again"
_UNPACK = "unpack it, and give the file that comes out"
_STATE = "save network.state_dict() with torch.save instead"

# The first bytes of files that hold no weights, or weights for other libraries.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "is compressed by gzip", _UNPACK),
    (b"BZh", "is compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "is compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "is an archive of 7-Zip", _UNPACK),
    (b"Rar!", "is a RAR archive", _UNPACK),
    (
        b"\x89HDF\r\n\x1a\n",
        "is an HDF5 file, as Keras saves weights",
        "convert it to safetensors first",
    ),
    (b"\x93NUMPY", "is a NumPy array without a name", _STATE),
    (b"GGUF", "is a GGUF file, made for llama.cpp", "take the weights it was made from"),
    (b"%PDF", "is a PDF document", _AGAIN),
    (b"\x89PNG", "is a PNG picture", "give the file of weights"),
    (b"\xff\xd8\xff", "is a JPEG picture", "give the file of weights"),
)

# What the end of the name says, if the bytes say nothing.
_ENDINGS = {
    ".onnx": ("is an ONNX model", "take the weights of the PyTorch network it was exported from"),
    ".msgpack": ("is a file of Flax", "convert it to safetensors first"),
    ".pb": ("is a model of TensorFlow", "convert it to safetensors first"),
    ".tflite": ("is a model of TensorFlow Lite", "convert it to safetensors first"),
    ".params": ("is a file of MXNet", "convert it to safetensors first"),
}


@dataclass(frozen=True)
class Found:
    """What a file is: `kind` is "safetensors", "archive" or "legacy" (both of torch), or "".

    If it is "", `said` is what the file is, beginning with a verb, and `cure` what to do about it.
    """

    kind: str
    said: str = ""
    cure: str = ""


def sniffed(path: Path) -> Found:
    """Return what a file is by its bytes, or by its name if they say nothing.

    >>> from convlens.zoo.shipped import DATA
    >>> sniffed(DATA / "digits.safetensors").kind, sniffed(DATA / "digit-3.png").said
    ('safetensors', 'is a PNG picture')
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return Found("", "is empty", _AGAIN)
    if not head.strip(b"\0"):
        return Found("", "begins with nothing but zeros", _AGAIN)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length < 2**32:
        return Found("safetensors")
    if head.startswith(LEGACY):
        return Found("legacy")
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _zip(path)
    for beginning, said, cure in _BEGINNINGS:
        if head.startswith(beginning):
            return Found("", said, cure)
    if head[257:262] == b"ustar":
        return Found("", "is a tar archive", f"{_UNPACK}, or save it again with a newer torch")
    if head[4:8] == b"TFL3":
        return Found("", *_ENDINGS[".tflite"])
    text = _text(head)
    if text is not None:
        return _written(text, size)
    if path.suffix.lower() in _ENDINGS:
        return Found("", *_ENDINGS[path.suffix.lower()])
    if re.match(rb"\x08[\x01-\x20]\x12.", head, re.DOTALL):
        return Found("", *_ENDINGS[".onnx"])
    if head[:1] == b"\x80" and 2 <= head[1] <= 5:
        return Found("", "is a pickle that torch.save did not write", _STATE)
    return Found("", "begins with none of the bytes that such files begin with", _AGAIN)


def in_place_of_a_network(name: str) -> str | None:
    """Return what to do about a file that is named instead of a network; None for other names.

    >>> in_place_of_a_network("resnet50.pth").partition(";")[0]
    'it ends as a file of weights does'
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".onnx":
        return (
            "an ONNX model is not opened here; name the code of the PyTorch network it was "
            "exported from, path/file.py:callable"
        )
    if suffix in (".safetensors", ".pt", ".pth", ".ckpt", ".bin"):
        return (
            "it ends as a file of weights does; name the network they are for, and the file with "
            "--weights, from Python weights="
        )
    if suffix in (".h5", ".keras", ".tflite", ".pb", ".mlmodel", ".engine", ".pt2"):
        return "models of other programs are not opened here; name a PyTorch network"
    if (mimetypes.guess_type(name, strict=False)[0] or "").startswith(("image/", "video/")):
        return "it ends as a picture or clip does; name the network first, then the picture"
    return None


def _zip(path: Path) -> Found:
    """Return what a zip archive is, by the names in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return Found("", f"is an archive of which a part is missing ({error})", _AGAIN)
    return _archive_of(names)


def _archive_of(names: Sequence[str]) -> Found:
    """Return what an archive with files of these names is."""
    last = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last and any("/code/" in f"/{name}" for name in names):
        cure = "save its weights: torch.save(torch.jit.load(path).state_dict(), 'weights.pth')"
        return Found("", "is a TorchScript program", cure)
    if "archive_format" in last or "serialized_exported_program.json" in last:
        cure = "save its weights: torch.save(torch.export.load(path).state_dict, 'weights.pth')"
        return Found("", "is a program of torch.export", cure)
    if "data.pkl" in last:
        return Found("archive")
    if names and all(name.endswith(".npy") for name in names):
        cure = "make tensors of its arrays and save them with safetensors.torch.save_file"
        return Found("", "is a NumPy archive (.npz)", cure)
    if "model.weights.h5" in last:
        return Found("", "is a model of Keras", "convert it to safetensors first")
    listed = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    return Found("", f"is a zip archive of {listed or 'nothing'}", _UNPACK)


def _text(head: bytes) -> str | None:
    """Return the beginning of a file as text; None if it is not text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace").strip()
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # unless a letter at the end was cut in two
            return None
        text = head[: error.start].decode("utf-8-sig")
    strange = sum(not (letter.isprintable() or letter.isspace()) for letter in text)
    return None if strange else text.strip()


def _written(text: str, size: int) -> Found:
    """Return what a text is that was given for weights."""
    pointer = re.match(
        r"version https://git-lfs\.github\.com/spec/.*?\bsize (\d+)", text, re.DOTALL
    )
    if pointer or text.startswith("version https://git-lfs"):
        of = f" to {int(pointer[1]):,} bytes" if pointer else ""
        return Found("", f"is a Git LFS pointer{of}, not the file itself", "run git lfs pull there")
    if re.match(r"\S*/annex/objects/", text):
        return Found("", "is a git-annex pointer, not the file itself", "run git annex get there")
    if re.match(r"<(!doctype html|html|head|body|!--|\?xml|script|div|title)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>\s*([^<]{1,60}?)\s*<", text, re.IGNORECASE)
        what = f"is a web page ({title[1]!r})" if title else "is a web page (HTML or XML)"
        return Found("", what, "download the file that the page leads to, or log in first")
    if text.startswith(("{", "[")):
        return _json(text)
    line = next(iter(text.splitlines()), "")[:50]
    return Found("", f"is a text of {size:,} bytes that begins with {line!r}", _AGAIN)


def _json(text: str) -> Found:
    if '"weight_map"' in text:
        files = sorted(set(re.findall(r":\s*\"([^\"]+\.(?:safetensors|bin))\"", text)))
        of = f", among them {files[0]}" if files else ""
        cure = "join their tensors into one with safetensors.torch.save_file"
        return Found("", f"is the index of weights in several files{of}", cure)
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    error = said.get("error") or said.get("message") if isinstance(said, dict) else None
    what = f"is a JSON text that says {str(error)[:60]!r}" if error else "is a JSON text"
    return Found("", what, "give the file of weights")
