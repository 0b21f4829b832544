"""The example builder of BERT's paper in plain Python, and the statistics of what it makes.

Written from the recipe, to compare with: what `bert-data build --masking static` makes must have the same distribution.
Run in a scratch environment (see requirements.txt beside this file):

    python scripts/reference/original_examples.py --golden
        writes crates/bert-data/tests/golden/original_examples.json; needs `xz`, and $BERT_SHARED_DATA (default
        ../shared/data) with corpora/ and vocabs/; two minutes
    python scripts/reference/original_examples.py --vocab vocab.txt --tokenizer fast|python [--dupe-factor N] TEXT..
        prints statistics and the rate in MB/s, writes nothing. TEXT has one sentence a line and a blank line between
        documents. `fast` is the tokenizers package, `python` a WordPiece tokenizer in Python, as the original had it.
        The rate is that of tokenising and making the examples; statistics are taken and files would be written besides.

A copy is one pass over the corpus: each makes other pairs and masks, so copies are independent. A statistic is a ratio of
two sums over a copy's examples; the golden file holds its mean and standard deviation over the copies.
"""

import argparse
import hashlib
import json
import math
import os
import random
import re
import statistics
import subprocess
import time
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("BERT_SHARED_DATA", ROOT / "../shared/data"))
GOLDEN = ROOT / "crates/bert-data/tests/golden/original_examples.json"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


# Tokenisers: a line of text -> ids


def fast_tokenizer(vocab):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return lambda lines: [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]


def is_punctuation(char):
    code = ord(char)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return True
    return unicodedata.category(char).startswith("P")


def is_cjk(char):
    code = ord(char)
    blocks = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF)]
    return any(low <= code <= high for low, high in blocks + [(0x2A700, 0x2CEAF), (0x2F800, 0x2FA1F)])


def words_of(line):
    """Cleaned, lower-case words and punctuation marks, without accents."""
    clean = []
    for char in line:
        category = unicodedata.category(char)
        if char in "\t\n\r" or category == "Zs":
            clean.append(" ")
        elif ord(char) not in (0, 0xFFFD) and not category.startswith("C"):
            clean.append(f" {char} " if is_cjk(char) else char)
    for word in "".join(clean).split():
        letters = [c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn"]
        piece = ""
        for char in letters:
            if is_punctuation(char):
                if piece:
                    yield piece
                yield char
                piece = ""
            else:
                piece += char
        if piece:
            yield piece


def python_tokenizer(vocab):
    unknown = vocab["[UNK]"]

    def pieces(word):
        ids, start = [], 0
        while start < len(word):
            end = len(word)
            while end > start:
                found = vocab.get(("##" if start else "") + word[start:end])
                if found is not None:
                    break
                end -= 1
            if end == start or len(word) > 100:
                return [unknown]
            ids.append(found)
            start = end
        return ids

    return lambda lines: [[i for word in words_of(line) for i in pieces(word)] for line in lines]


# The corpus


def read_documents(text, tokenize):
    """Documents as lists of sentences as lists of ids."""
    documents = [[]]
    lines = text.split("\n")
    for begin in range(0, len(lines), 1000):
        some = [line.strip() for line in lines[begin : begin + 1000]]
        for line, ids in zip(some, tokenize(some)):
            if not line:
                documents.append([])
            elif ids:
                documents[-1].append(ids)
    return [document for document in documents if document]


# Examples


class Builder:
    def __init__(self, documents, vocab, options):
        self.documents, self.vocab, self.options = documents, vocab, options
        self.rng = random.Random(options.seed)
        self.cls, self.sep, self.mask = (vocab[name] for name in ("[CLS]", "[SEP]", "[MASK]"))
        by_id = sorted(vocab, key=vocab.get)
        self.continues = [token.startswith("##") for token in by_id]
        self.most = options.seq_len - 3
        self.counts = {"own": 0, "cut": 0, "random": 0}

    def copy(self):
        for index in range(len(self.documents)):
            yield from self.examples_of(index)

    def examples_of(self, index):
        document, rng = self.documents[index], self.rng
        target = self.most
        if rng.random() < self.options.short_seq_prob:
            target = rng.randint(2, self.most)
        at = 0
        while at < len(document):
            # Sentences until the target is reached.
            end, length = at, 0
            while end < len(document) and length < target:
                length += len(document[end])
                end += 1
            middle = at + 1 if end - at == 1 else at + rng.randint(1, end - at - 1)
            first = [i for sentence in document[at:middle] for i in sentence]
            is_random = end - at == 1 or rng.random() < 0.5
            if is_random:
                second = self.random_segment(index, target - len(first))
                # What would have been the second segment begins the next example.
                end = middle
            else:
                second = [i for sentence in document[middle:end] for i in sentence]
            whole = len(first) + (0 if is_random else len(second))
            first, second = self.truncate(first, second)
            kept = len(first) + (0 if is_random else len(second))
            self.counts["own"] += kept
            self.counts["cut"] += whole - kept
            self.counts["random"] += len(second) if is_random else 0
            tokens = [self.cls, *first, self.sep, *second, self.sep]
            output, positions = self.masked(tokens)
            yield tokens, len(first) + 2, is_random, output, positions
            at = end

    def random_segment(self, index, wanted):
        for _ in range(10):
            other = self.rng.randrange(len(self.documents))
            if other != index:
                break
        document = self.documents[other]
        segment = []
        for sentence in document[self.rng.randrange(len(document)) :]:
            segment += sentence
            if len(segment) >= wanted:
                break
        return segment

    def truncate(self, first, second):
        a, a_end, b, b_end = 0, len(first), 0, len(second)
        while a_end - a + b_end - b > self.most:
            in_front = self.rng.random() < 0.5
            if a_end - a > b_end - b:
                a, a_end = (a + 1, a_end) if in_front else (a, a_end - 1)
            else:
                b, b_end = (b + 1, b_end) if in_front else (b, b_end - 1)
        return first[a:a_end], second[b:b_end]

    def masked(self, tokens):
        """The tokens with masks, and the masked positions in ascending order."""
        rng, units = self.rng, []
        for at, token in enumerate(tokens):
            if token in (self.cls, self.sep):
                continue
            if self.options.whole_word and units and self.continues[token]:
                units[-1].append(at)
            else:
                units.append([at])
        rng.shuffle(units)
        count = min(self.options.max_predictions, max(1, round(len(tokens) * self.options.masked_lm_prob)))
        chosen = []
        for unit in units:
            if len(chosen) >= count:
                break
            if len(chosen) + len(unit) <= count:
                chosen += unit
        output = list(tokens)
        for at in chosen:
            if rng.random() < 0.8:
                output[at] = self.mask
            elif rng.random() >= 0.5:
                output[at] = rng.randrange(len(self.vocab))
        return output, sorted(chosen)


# Statistics


class Edges:
    """Whether a segment begins and ends as some sentence of the corpus does, by its three outermost tokens."""

    def __init__(self, documents):
        sentences = [sentence for document in documents for sentence in document if len(sentence) >= 3]
        self.begins = {tuple(sentence[:3]) for sentence in sentences}
        self.ends = {tuple(sentence[-3:]) for sentence in sentences}


class Sums:
    def __init__(self):
        self.sums = {}

    def add(self, name, part, whole=1):
        sums = self.sums.setdefault(name, [0, 0])
        sums[0] += part
        sums[1] += whole

    def shares(self, name, value, bins):
        for i in range(bins):
            self.add(f"{name} {i}/{bins}", int(value == i))

    def values(self):
        return {name: part / whole if whole else 0.0 for name, (part, whole) in sorted(self.sums.items())}


def take(sums, example, edges, builder, is_plain):
    seq_len, continues, mask = builder.options.seq_len, builder.continues, builder.mask
    tokens, start, is_random, output, positions = example
    kind = "random" if is_random else "next"
    length, first, second = len(tokens), tokens[1 : start - 1], tokens[start:-1]
    sums.add("random next", int(is_random))
    sums.add("length", length)
    sums.add("full length", int(length == seq_len))
    sums.shares("length", (length - 1) * 8 // seq_len, 8)
    sums.add(f"A, {kind}", len(first))
    sums.add(f"B, {kind}", len(second))
    sums.shares(f"share of A, {kind}", min(4, 5 * len(first) // (len(first) + len(second))), 5)
    for name, segment in (("A", first), ("B", second)):
        if len(segment) >= 3:
            sums.add(f"{name} cut in front, {kind}", int(tuple(segment[:3]) not in edges.begins))
            sums.add(f"{name} cut behind, {kind}", int(tuple(segment[-3:]) not in edges.ends))
    sums.add("masks", len(positions))
    sums.add("masks of length", len(positions), length)
    for at in positions:
        label, found = tokens[at], output[at]
        replaced = found not in (label, mask)
        sums.add("masked", int(found == mask))
        sums.add("left", int(found == label))
        sums.add("replaced", int(replaced))
        sums.shares("mask at", at * 5 // length, 5)
        sums.add("mask in A", int(at < start))
        sums.add("mask on a continuation", int(continues[label]))
        if replaced:
            sums.add("replaced by a special or unused token", int(not is_plain[found]))
            sums.add("replacement", found / len(is_plain))


def measure(documents, vocab, options):
    """Statistics of each copy, and the seconds it took to make them."""
    by_id = sorted(vocab, key=vocab.get)
    is_plain = [not (token in SPECIALS or token.startswith("[unused")) for token in by_id]
    edges, corpus = Edges(documents), sum(len(s) for document in documents for s in document)
    builder, copies, seconds, total = Builder(documents, vocab, options), [], 0.0, 0
    for _ in range(options.dupe_factor):
        builder.counts = dict.fromkeys(builder.counts, 0)
        begin = time.perf_counter()
        examples = list(builder.copy())
        seconds += time.perf_counter() - begin
        sums = Sums()
        for example in examples:
            take(sums, example, edges, builder, is_plain)
        sums.add("examples of tokens", len(examples), corpus)
        for name, count in builder.counts.items():
            sums.add(f"{name} tokens", count, corpus)
        copies.append(sums.values())
        total += len(examples)
    names = sorted({name for copy in copies for name in copy})
    columns = {name: [copy.get(name, 0.0) for copy in copies] for name in names}
    spread = lambda column: statistics.stdev(column) if len(column) > 1 else math.nan
    summary = {name: {"mean": statistics.fmean(c), "sd": spread(c)} for name, c in columns.items()}
    return summary, total, seconds


# Golden values


def sample_text():
    return "".join((ROOT / f"data/sample/stories-{i}.txt").read_text() for i in range(1, 5))


def novels_text():
    """The first 6,000 lines: a paragraph a line, 20 a document, cut after every full stop with a space behind it."""
    xz = subprocess.Popen(["xz", "-dc", SHARED / "corpora/novels.txt.xz"], stdout=subprocess.PIPE)
    text, paragraphs = "", 0
    for _ in range(6000):
        line = xz.stdout.readline().decode().strip()
        if line:
            text += line.replace(". ", ".\n") + "\n"
            paragraphs += 1
            text += "\n" if paragraphs % 20 == 0 else ""
    xz.kill()
    return text


def released_vocabulary():
    return (SHARED / "vocabs/bert-base-uncased/vocab.txt").read_text().split("\n")


def vocabulary_of_words(text):
    return SPECIALS + sorted(set(re.findall("[a-z0-9]+|[^a-z0-9\\s]", text.lower())))


def numbered(tokens):
    return {token: number for number, token in enumerate(token for token in tokens if token)}


def write_golden(options):
    cases = []
    sample, novels = sample_text(), novels_text()
    for name, text, tokens, whole_word in [
        ("sample", sample, vocabulary_of_words(sample), False),
        ("novels", novels, released_vocabulary(), False),
        ("novels, whole words", novels, released_vocabulary(), True),
    ]:
        vocab = numbered(tokens)
        options.whole_word = whole_word
        documents = read_documents(text, fast_tokenizer(vocab))
        summary, examples, _ = measure(documents, vocab, options)
        cases.append(
            {
                "name": name,
                "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
                "vocab_size": len(vocab),
                "documents": len(documents),
                "tokens": sum(len(s) for document in documents for s in document),
                "whole_word": whole_word,
                "copies": options.dupe_factor,
                "examples": examples,
                "statistics": summary,
            }
        )
        print(name, len(documents), "documents", examples, "examples")
    settings = {key: getattr(options, key) for key in SETTINGS}
    import tokenizers

    made = {"by": "scripts/reference/original_examples.py", "tokenizers": tokenizers.__version__}
    text = json.dumps({"made": made, "settings": settings, "cases": cases}, indent=1)
    GOLDEN.write_text(text + "\n")


SETTINGS = ["seq_len", "short_seq_prob", "masked_lm_prob", "max_predictions", "seed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="*", metavar="TEXT")
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--vocab")
    parser.add_argument("--tokenizer", choices=["fast", "python"], default="fast")
    parser.add_argument("--dupe-factor", type=int, help="copies; 10 as the original, 60 for the golden file")
    parser.add_argument("--seq-len", type=int, default=128)
    parser.add_argument("--short-seq-prob", type=float, default=0.1)
    parser.add_argument("--masked-lm-prob", type=float, default=0.15)
    parser.add_argument("--max-predictions", type=int, default=20)
    parser.add_argument("--whole-word", action="store_true")
    parser.add_argument("--seed", type=int, default=12345)
    options = parser.parse_args()
    options.dupe_factor = options.dupe_factor or (60 if options.golden else 10)
    if options.golden:
        write_golden(options)
        return
    if not (options.vocab and options.text):
        parser.error("give --vocab and at least one TEXT, or --golden")
    vocab = numbered(Path(options.vocab).read_text().split("\n"))
    # A blank line between files: a document ends with its file.
    text = "\n\n".join(Path(path).read_text() for path in options.text)
    tokenizer = {"fast": fast_tokenizer, "python": python_tokenizer}[options.tokenizer](vocab)
    begin = time.perf_counter()
    documents = read_documents(text, tokenizer)
    tokenizing = time.perf_counter() - begin
    summary, examples, making = measure(documents, vocab, options)
    for name, values in summary.items():
        print(f"{name:44} {values['mean']:10.5f} +- {values['sd']:.5f}")
    megabytes = len(text.encode()) / 1e6
    print(f"{examples} examples of {megabytes:.1f} MB, {options.dupe_factor} copies: tokenising {tokenizing:.1f} s,")
    print(f"examples {making:.1f} s; {megabytes / (tokenizing + making):.3f} MB/s in all")


if __name__ == "__main__":
    main()
