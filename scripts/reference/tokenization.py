"""Golden token ids of 10,000 lines of real text under the released uncased and cased vocabularies.

Run in a scratch environment (see requirements.txt beside this file), with $BERT_SHARED_DATA (default
../shared/data) holding corpora/ and vocabs/; about a minute:

    python scripts/reference/tokenization.py            writes crates/bert-data/tests/golden/tokenization.json
    python scripts/reference/tokenization.py --show N   prints line N (from 0) with its tokens, writes nothing

Which lines, so that a test can repeat the choice with nothing but `xz` and `tar`: the text is cut at b"\\n"; of the
lines that are not blank (ASCII whitespace only), those numbered 0, stride, 2 stride, .. are taken until there are
5,000 of them.

    novels      xz -dc corpora/novels.txt.xz              stride 47
    wikipedia   tar -xJOf corpora/wikipedia-AA.tar.xz     stride 64   (members in the archive's order)

The file holds, for each vocabulary, a list of blocks of 500 lines (novels first):

    tokens   number of ids in the block
    sha256   of the block: for each line its number of ids, then its ids, all as little-endian 32-bit integers
    lines    four hexadecimal digits a line: the start of the line's own SHA-256 over the same bytes

and `edge_cases`: strings that catch a wrong normaliser, with all their ids. No special token is added.
"""

import argparse
import hashlib
import json
import subprocess
import struct

import common

BLOCK = 500
LINES_PER_SOURCE = 5000
SOURCES = [
    {"name": "novels", "command": ["xz", "-dc"], "file": "corpora/novels.txt.xz", "stride": 47},
    {"name": "wikipedia", "command": ["tar", "-xJOf"], "file": "corpora/wikipedia-AA.tar.xz", "stride": 64},
]
VOCABULARIES = [("bert-base-uncased", True), ("bert-base-cased", False)]
EDGE_CASES = [
    "",
    " \t ",
    "Hello, World! Don't panic.",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u00fcber",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "\u0130stanbul \u0131\u015f\u0131k",
    "Stra\u00dfe STRASSE \u1e9e",
    "\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2 \u03a3\u03a3",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059 \u30ac\u30ae\u30b0",
    "\ud55c\uad6d\uc5b4 \uc11c\uc6b8",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u0439\u043e\u0433",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\u0939\u093f\u0928\u094d\u0926\u0940",
    "one\u00a0two\u2003three\u3000four\u202ffive",
    "zero\u200bwidth soft\u00adhyphen bom\ufeff",
    "null\u0000 bell\u0007 replacement\ufffd end",
    "tab\there\rreturn",
    "\U0001f600 smile \U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "price: $3.50 (\u20ac4,20) \u2014 \u201cquoted\u201d \u2018single\u2019 \u2026",
    "a_b-c/d\\e|f~g`h^i",
    "U.S.A. e.g. 3.14159 1,000,000 10% #tag @name",
    "x" * 100,
    "x" * 101,
    "unaffable pseudopseudohypoparathyroidism",
    "\u2160\u2161 \ufb01ne \u00bd \u00b2",
    "\u4e00\u9fa5\U00020000 \uf900",
]


def chosen_lines(source):
    path = common.shared_data() / source["file"]
    raw = subprocess.run([*source["command"], str(path)], check=True, stdout=subprocess.PIPE).stdout
    lines = [line for line in raw.split(b"\n") if line.strip()]
    chosen = lines[:: source["stride"]][:LINES_PER_SOURCE]
    assert len(chosen) == LINES_PER_SOURCE, f"{path} has too few lines"
    return [line.decode("utf-8") for line in chosen]


def tokenizers():
    """For each vocabulary the library's tokenizer, and its older pure-Python one as a second opinion."""
    from transformers import BertTokenizer, BertTokenizerLegacy

    for name, lowercase in VOCABULARIES:
        vocab = str(common.shared_data() / "vocabs" / name / "vocab.txt")
        yield name, lowercase, BertTokenizer(vocab, do_lower_case=lowercase), BertTokenizerLegacy(
            vocab, do_lower_case=lowercase
        )


def ids_of(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


def record(ids):
    return struct.pack(f"<{len(ids) + 1}I", len(ids), *ids)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", type=int, metavar="N", help="print line N with its tokens instead of writing")
    show = parser.parse_args().show
    lines = [line for source in SOURCES for line in chosen_lines(source)]
    vocabularies = {}
    for name, lowercase, tokenizer, legacy in tokenizers():
        if show is not None:
            print(name, tokenizer.convert_ids_to_tokens(ids_of(tokenizer, lines[show])))
            continue
        blocks, apart = [], 0
        for start in range(0, len(lines), BLOCK):
            block, marks, tokens = hashlib.sha256(), [], 0
            for line in lines[start : start + BLOCK]:
                ids = ids_of(tokenizer, line)
                apart += ids != legacy.convert_tokens_to_ids(legacy.tokenize(line))
                data = record(ids)
                block.update(data)
                marks.append(hashlib.sha256(data).hexdigest()[:4])
                tokens += len(ids)
            blocks.append({"tokens": tokens, "sha256": block.hexdigest(), "lines": "".join(marks)})
        edges = []
        for text in EDGE_CASES:
            ids = ids_of(tokenizer, text)
            other = legacy.convert_tokens_to_ids(legacy.tokenize(text))
            if ids != other:
                print(f"{name}: the two tokenizers differ on {text!r}: {ids} and {other}")
            edges.append({"text": text, "ids": ids})
        vocabularies[name] = {"lowercase": lowercase, "blocks": blocks, "edge_cases": edges}
        print(f"{name}: {sum(block['tokens'] for block in blocks):,} tokens, "
              f"{apart} lines differ between the fast and the older tokenizer")
    if show is not None:
        print(lines[show])
        return
    golden = {
        "made_by": "scripts/reference/tokenization.py",
        "versions": common.versions(),
        "lines_per_source": LINES_PER_SOURCE,
        "lines_per_block": BLOCK,
        "sources": SOURCES,
        "vocabularies": vocabularies,
    }
    path = common.DATA_GOLDEN / "tokenization.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{path.relative_to(common.ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
