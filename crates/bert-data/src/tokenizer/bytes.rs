//! Bytes as the visible characters that stand for them in byte-level vocabularies (Radford et al. 2019).

/// The character of a byte: itself where it is visible Latin-1, else one from U+0100 on.
pub(crate) fn character_of(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        // The others, in order: 33 up to the space, then DEL to U+00A0, then the soft hyphen.
        0..=0x20 => offset(u32::from(byte)),
        0x7f..=0xa0 => offset(33 + u32::from(byte) - 0x7f),
        0xad => offset(33 + 34),
    }
}

fn offset(number: u32) -> char {
    // 0x100 to 0x143 are all characters.
    char::from_u32(0x100 + number).unwrap_or(' ')
}

/// The bytes that a token of a byte-level vocabulary stands for; none for one that is not made of such characters.
pub(crate) fn bytes_of(token: &str) -> Option<Vec<u8>> {
    let byte = |character: char| match u32::from(character) {
        number @ 0x100..=0x120 => u8::try_from(number - 0x100).ok(),
        number @ 0x121..=0x142 => u8::try_from(number - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        number => u8::try_from(number).ok().filter(|&byte| character_of(byte) == character),
    };
    token.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    #[test]
    fn every_byte_has_the_librarys_character_and_comes_back() {
        let all: Vec<char> = (0..=255).map(character_of).collect();
        assert!(all.iter().all(|c| ByteLevel::alphabet().contains(c)));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 256);
        let text: String = all.iter().collect();
        assert_eq!(bytes_of(&text), Some((0..=255).collect()));
        assert_eq!((character_of(b' '), character_of(b'\n'), bytes_of("▁x")), ('Ġ', 'Ċ', None));
    }
}
