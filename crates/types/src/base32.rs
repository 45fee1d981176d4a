//! Base32 in the two alphabets that people meet here: RFC 4648 in lower case without padding
//! (tokens, DNS values) and Crockford's (request numbers, which are read aloud).

const RFC4648: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Encodes `bytes` in lower case without padding (RFC 4648, section 6).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    encode_with(RFC4648, bytes)
}

/// Encodes `bytes` in Crockford's alphabet, which has no I, L, O and U.
#[must_use]
pub fn encode_crockford(bytes: &[u8]) -> String {
    encode_with(CROCKFORD, bytes)
}

fn encode_with(alphabet: &[u8; 32], bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(letter(alphabet, bits >> held));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(letter(alphabet, bits << (5 - held)));
    }
    text
}

#[expect(clippy::indexing_slicing, reason = "five bits name one of 32 letters")]
fn letter(alphabet: &[u8; 32], value: u32) -> char {
    char::from(alphabet[(value & 31) as usize])
}

/// Decodes what [`encode`] wrote into exactly `N` bytes; `None` as for [`decode_all`], and for
/// another length.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_all(text)?.try_into().ok()
}

/// Decodes what [`encode`] wrote.
///
/// `None` for a length that it never writes, a letter outside the alphabet, or bits after the last
/// byte that are not zero: each value has one spelling only.
#[must_use]
pub fn decode_all(text: &str) -> Option<Vec<u8>> {
    let size = text.len() * 5 / 8;
    if text.len() != (size * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = Vec::with_capacity(size);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_section_10_vectors() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(b"f"), "my");
        assert_eq!(encode(b"foob"), "mzxw6yq");
        assert_eq!(encode(b"foobar"), "mzxw6ytboi");
        assert_eq!(decode::<6>("mzxw6ytboi"), Some(*b"foobar"));
    }

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(decode::<1>("my"), Some(*b"f"));
        assert_eq!(decode::<1>("mz"), None, "bits after the last byte");
        assert_eq!(decode::<1>("MY"), None, "upper case");
        assert_eq!(decode::<1>("myy"), None, "length");
    }
}
