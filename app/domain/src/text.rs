//! Texts of other people's choice, where they stand among ours.

/// Whether a character moves the text around it: control characters, line and paragraph separators, and those by which Unicode (UAX #9, section 2) turns
/// the direction of what follows. With them one name can look like another, or like a row of somebody else's.
#[must_use]
pub fn is_disruptive(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
