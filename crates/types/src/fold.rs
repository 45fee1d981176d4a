//! The one normaliser of identifiers: what userName, email and every other SCIM string without
//! exact case are compared by.
//!
//! Default ignorables are dropped, then NFKC, full case folding, NFKC (RFC 8265 asks for less in
//! its `UsernameCaseMapped`; we fold more, so that no two names look the same to a person and
//! differ here). Stored as sent, compared folded.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// The Unicode release that the tables below come from; stored keys depend on it.
pub const UNICODE_VERSION: &str = "17.0";

/// The folded form of `text`.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let visible: String = text.chars().filter(|c| !ignorable.contains(*c)).collect();
    let nfkc = ComposingNormalizer::new_nfkc();
    let composed = nfkc.normalize(&visible);
    let folded = CaseMapper::new().fold_string(&composed);
    nfkc.normalize(&folded).into_owned()
}

/// Whether `text` holds a control character, which no identifier may.
#[must_use]
pub fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7643-4.1.1-02
    fn what_looks_the_same_folds_to_the_same() {
        let cases = [
            ("ALICE@Example.com", "alice@example.com"),
            ("Straße", "strasse"),
            ("ＡＬＩＣＥ", "alice"),
            ("al\u{200b}ice\u{fe0f}", "alice"),
            ("ΜΆΪΟΣ", "μάϊοσ"),
            ("e\u{301}", "é"),
            ("ﬁn", "fin"),
        ];
        for (sent, folded) in cases {
            assert_eq!(fold(sent), folded);
            assert_eq!(fold(folded), folded, "folding twice changes nothing");
        }
    }
}
