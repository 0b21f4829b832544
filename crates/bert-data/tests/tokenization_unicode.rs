//! Token ids equal those of the `tokenizers` library on its own, with every released vocabulary: on lines of real text, on
//! texts of many scripts, and on random Unicode.
//!
//! The library is built here from the released files, not by this crate. `tokenization_parity.rs` compares with its Python
//! package.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bert_data::tokenizer::Tokenizer;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokenizers::Tokenizer as Library;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

/// Name, and whether text is lower-cased; none for byte-level BPE.
const VOCABULARIES: [(&str, Option<bool>); 5] = [
    ("bert-base-uncased", Some(true)),
    ("bert-base-cased", Some(false)),
    ("bert-base-chinese", Some(true)),
    ("bert-base-multilingual-cased", Some(false)),
    ("roberta-base", None),
];
/// Lines of each corpus.
const LINES: usize = 3000;
/// Random texts for each vocabulary.
const RANDOM_TEXTS: u32 = 3000;

/// What writing systems do that a tokenizer may get wrong.
const TEXTS: &[&str] = &[
    "我爱北京天安门，天安门上太阳升。",
    "台灣的首都是台北市；人口約２３００萬（２０２０年）。",
    "中文和English混排，iPhone13的价格是￥5,999.00元！",
    "“引号”《书名》〈篇名〉【标题】——破折号……省略号、顿号",
    "㐀㐁㐂 𠀀𠀁𪛖 𪜀𪝀 𫝀𫠝 𫠠𬺡 𬺰𮯠 𰀀𱍊 𱍐 𮯰 豈更 丽乁",
    "東京タワーは333メートル。ｶﾀｶﾅとひらがな、ガギグゲゴ",
    "한국어 문장입니다. 서울은 대한민국의 수도이다. 각",
    "Привет, мир! Съешь ещё этих мягких французских булок. Йй Ёё Її",
    "Καλημέρα κόσμε! Ὀδυσσεύς ἄνδρα μοι ἔννεπε, Μοῦσα ΟΔΟΣ",
    "مرحبا بالعالم! اَلْعَرَبِيَّةُ ٢٠٢٤ ﷺ ﻻ ﷲ کتاب‌ها",
    "שָׁלוֹם עולם, בְּרֵאשִׁית בָּרָא ״ציטוט״",
    "สวัสดีชาวโลก ภาษาไทยไม่มีช่องว่าง ๑๒๓",
    "नमस्ते दुनिया, क्षत्रिय ज्ञान हिन्दी। বাংলা ভাষা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം",
    "ພາສາລາວ ភាសាខ្មែរ မြန်မာဘာသာ བོད་སྐད་ ქართული հայերեն አማርኛ",
    "Tiếng Việt: Nguyễn Thị Ánh, Đường Trường Sơn; ngày 30/4",
    "İstanbul ılık ĞÜŞİÖÇ Straße ẞ ǅ ǆ Ǆ ŉ ﬀ ﬁ ﬃ Æ œ",
    "e\u{301}e\u{301}\u{323} a\u{30a} \u{301}x \u{20dd} q\u{307}\u{323} \u{1e9b}\u{323} \u{344} \u{958}",
    "👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽 1️⃣ ❤️ ☺︎ 🫠 🪿 🫨",
    "zero\u{200b}width\u{200c}non\u{200d}joiner\u{2060}word\u{feff}bom\u{ad}shy",
    "left\u{200e}right\u{200f}\u{202a}embed\u{202c}\u{2066}isolate\u{2069}\u{61c}",
    "ctrl\u{1}\u{2}\u{7}\u{8}\u{b}\u{c}\u{e}\u{1b}[31m\u{7f}\u{80}\u{85}\u{9f}end",
    "null\u{0}byte \u{0} \u{fffd}\u{fffd} \u{fffe}\u{ffff} \u{fdd0}",
    "\u{d7ff}\u{e000}\u{f8ff} \u{f0000}\u{10fffd}\u{10ffff} \u{e0001}\u{e0020}\u{1fffe}",
    "a\u{a0}b\u{1680}c\u{2000}d\u{2003}e\u{2009}f\u{200a}g\u{2028}h\u{2029}i\u{202f}j\u{205f}k\u{3000}l\u{180e}m",
    "tabs\t\tand\r\nlines\n\n\nand   spaces  \u{b} \u{c} \u{85} \u{a0} end   ",
    "   leading\n \n mixed \n\t white space \t\n",
    "it's we're I'll they've I'd don't can't 'tis 'S 'LL ''s o'clock rock'n'roll",
    "3.14159 1,000,000 1e-9 0x1F ①②③ ½ ² ₃ Ⅷ ४५६ ٣٤٥ 𝟙𝟚 １２３ 12th B2B",
    "$100 €50 £20 ¥1000 ₹5 10% ±5° №7 §3 ¶ † ‡ • · ‥ … ‰ ′ ″",
    "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./ ¡¿«»‹›„“”‘’‚—–―‐",
    "http://例え.jp/path?q=1&r=%20#frag user@example.com C:\\dir\\file.txt #hash_tag @user",
    "def f(x):\n    return x**2  # comment\n\tif x != 0: pass",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β = ¬(¬α ∨ β), ∑∫√∞≠≈ 𝔸𝕓𝓬 ℵ₀",
    "[CLS] [SEP] [MASK] [UNK] [PAD] [unused1] <s> </s> <mask> <pad> <unk> ##ing Ġ ▁",
    "ĠĊĉ Ã© â€™ mojibake Å¾ ï»¿",
    "x̷̢̛̱͙̗͐ y\u{488} ـــــ ᠮᠣᠩᠭᠣᠯ ᏣᎳᎩ ꮳꮃꭹ ᎠᎡ 𐐀𐐨 𞤀𞤢 𑄃𑄋𑄴𑄟𑄳𑄦 𖤌 𐎠𐎲 𓀀 𒀀 𐌰 ꜱ Ა ა ᲀ Ⱡ ⱡ Ꞷ ꟲ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
     aaaaaaaaaaaaaaaaaaaaaaa",
    "",
    " ",
    "\n",
    "\u{a0}",
    "\u{301}",
];

fn shared_data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BERT_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: {test}: {} is missing; set BERT_SHARED_DATA to the folder of shared test data",
        folder.display()
    );
    None
}

/// A vocabulary opened by this crate, and by the library alone.
fn both(name: &str, lowercase: Option<bool>, data: &Path) -> (Tokenizer, Library) {
    let folder = data.join("vocabs").join(name);
    let library = match lowercase {
        Some(lowercase) => {
            let model = WordPiece::from_file(folder.join("vocab.txt").to_str().unwrap());
            let mut library = Library::new(model.unk_token("[UNK]".into()).build().unwrap());
            library.with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase))).unwrap();
            library.with_pre_tokenizer(Some(BertPreTokenizer));
            library
        }
        None => {
            let mut library = Library::from_file(folder.join("tokenizer.json")).unwrap();
            // Text is text here: `<s>` in it is not the token.
            library.set_encode_special_tokens(true);
            library
        }
    };
    // The Chinese vocabulary has no capital letters but for its placeholders, so each folder says its own casing.
    (Tokenizer::open(&folder).unwrap(), library)
}

fn expected(library: &Library, text: &str) -> Vec<u32> {
    library.encode_fast(text, false).unwrap().get_ids().to_vec()
}

#[test]
fn texts_of_many_scripts_get_the_ids_of_the_library() {
    let Some(data) = shared_data("texts_of_many_scripts_get_the_ids_of_the_library") else { return };
    for (name, lowercase) in VOCABULARIES {
        let (ours, library) = both(name, lowercase, &data);
        let whole = TEXTS.join(" ");
        for text in TEXTS.iter().copied().chain([whole.as_str(), &TEXTS.concat()]) {
            // Twice: encoded, then remembered.
            for _ in 0..2 {
                assert_eq!(ours.encode(text), expected(&library, text), "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn random_unicode_gets_the_ids_of_the_library() {
    let Some(data) = shared_data("random_unicode_gets_the_ids_of_the_library") else { return };
    let from_texts: Vec<char> = TEXTS.iter().flat_map(|text| text.chars()).collect();
    let character = prop_oneof![
        4 => prop::sample::select(from_texts),
        2 => prop::char::range('\u{20}', '\u{7e}'),
        2 => prop::sample::select(vec![' ', ' ', ' ', '\n', '\t', '\u{a0}', '\u{3000}', '\u{85}', '\'', '\u{200d}']),
        1 => prop::char::range('\0', '\u{2fff}'),
        1 => prop::char::range('\u{3000}', '\u{ffff}'),
        1 => any::<char>(),
    ];
    let text = prop::collection::vec(character, 0..60).prop_map(|characters| characters.iter().collect::<String>());
    for (name, lowercase) in VOCABULARIES {
        let (ours, library) = both(name, lowercase, &data);
        // The same texts on every run.
        let config = Config { cases: RANDOM_TEXTS, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
        let outcome = runner.run(&text, |text| {
            prop_assert_eq!(ours.encode(&text), expected(&library, &text));
            Ok(())
        });
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[test]
fn real_text_gets_the_ids_of_the_library() {
    let test = "real_text_gets_the_ids_of_the_library";
    let Some(data) = shared_data(test) else { return };
    let Some(lines) = real_lines(&data) else {
        println!("skipped: {test}: the program `xz` or `tar`, which unpack the corpora, is missing");
        return;
    };
    assert_eq!(lines.len(), 2 * LINES);
    for (name, lowercase) in VOCABULARIES {
        let (ours, library) = both(name, lowercase, &data);
        for line in &lines {
            assert_eq!(ours.encode(line), expected(&library, line), "{name}: {line}");
        }
    }
}

/// Lines from all over both corpora.
fn real_lines(data: &Path) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for (program, arguments, file, stride) in
        [("xz", "-dc", "novels.txt.xz", 75), ("tar", "-xJOf", "wikipedia-AA.tar.xz", 101)]
    {
        let mut command = Command::new(program);
        command.arg(arguments).arg(data.join("corpora").join(file)).stderr(Stdio::inherit());
        let text = String::from_utf8(command.output().ok()?.stdout).unwrap();
        let filled = text.lines().filter(|line| !line.trim_ascii().is_empty());
        lines.extend(filled.step_by(stride).take(LINES).map(String::from));
    }
    Some(lines)
}
