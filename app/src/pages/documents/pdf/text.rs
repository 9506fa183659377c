//! Text of any script on a line: which letters a font has, in which direction they go, and how wide they are.
//!
//! The fonts are in the binary, so that a name looks the same on every machine: DejaVu Sans, which has nearly every alphabet, Droid Sans Fallback for Han
//! and kana, and Nanum Gothic Coding for hangul. What none of them has, as the scripts of India, is a box.

use std::sync::LazyLock;

use krilla::text::Font;
use rustybuzz::{Direction, Face, UnicodeBuffer};
use unicode_bidi::{BidiInfo, Level};

/// A length on paper: a fiftieth of a point, so that whole numbers do.
pub(super) type Ticks = i32;

/// Fonts by weight, and what stands in for both.
const FILES: [&[u8]; 4] = [
    include_bytes!("../../../../fonts/DejaVuSans.ttf"),
    include_bytes!("../../../../fonts/DejaVuSans-Bold.ttf"),
    include_bytes!("../../../../fonts/DroidSansFallback.ttf"),
    include_bytes!("../../../../fonts/NanumGothicCoding.ttf"),
];

/// How heavy letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

impl Weight {
    /// Where to look for a letter, in this order.
    const fn faces(self) -> [usize; 3] {
        match self {
            Self::Regular => [0, 2, 3],
            Self::Bold => [1, 2, 3],
        }
    }
}

/// A font, as it is measured by and as it is drawn with.
struct Loaded {
    face: Face<'static>,
    font: Font,
}

/// The fonts of a file.
pub(super) struct Fonts(Vec<Loaded>);

/// Letters of one font that go in one direction.
pub(super) struct Run<'a> {
    pub(super) text: &'a str,
    pub(super) font: Font,
    pub(super) is_rtl: bool,
    pub(super) width: Ticks,
}

impl Fonts {
    /// Them, read once; `None` if one of them is none, which a test says.
    pub(super) fn loaded() -> Option<&'static Self> {
        static FONTS: LazyLock<Option<Fonts>> = LazyLock::new(Fonts::load);
        FONTS.as_ref()
    }

    fn load() -> Option<Self> {
        let load = |file: &&'static [u8]| Some(Loaded { face: Face::from_slice(file, 0)?, font: Font::new(file.to_vec().into(), 0)? });
        FILES.iter().map(load).collect::<Option<_>>().map(Self)
    }

    /// A line's runs from left to right, by the rules of Unicode (UAX #9) for a line that goes from left to right.
    pub(super) fn runs<'a>(&self, text: &'a str, weight: Weight, size: Ticks) -> Vec<Run<'a>> {
        let bidi = BidiInfo::new(text, Some(Level::ltr()));
        let mut runs = Vec::new();
        for paragraph in &bidi.paragraphs {
            let (levels, ranges) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for range in ranges {
                let is_rtl = levels.get(range.start).is_some_and(Level::is_rtl);
                let mut parts = self.by_face(text.get(range).unwrap_or_default(), weight);
                if is_rtl {
                    parts.reverse();
                }
                runs.extend(parts.into_iter().filter_map(|(face, text)| self.run(face, text, is_rtl, size)));
            }
        }
        runs
    }

    /// How wide a line is.
    pub(super) fn width(&self, text: &str, weight: Weight, size: Ticks) -> Ticks {
        self.runs(text, weight, size).iter().map(|run| run.width).sum()
    }

    /// A text on as many lines as it takes, of whole words where these fit.
    pub(super) fn wrap(&self, text: &str, weight: Weight, size: Ticks, room: Ticks) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            let joined = lines.last().map_or_else(|| word.to_owned(), |line| format!("{line} {word}"));
            if self.width(&joined, weight, size) <= room {
                lines.pop();
                lines.push(joined);
            } else if self.width(word, weight, size) <= room {
                lines.push(word.to_owned());
            } else {
                self.break_word(word, weight, size, room, &mut lines);
            }
        }
        lines
    }

    /// One that is wider than the room for it.
    fn break_word(&self, word: &str, weight: Weight, size: Ticks, room: Ticks, lines: &mut Vec<String>) {
        let mut line = String::new();
        for letter in word.chars() {
            line.push(letter);
            if self.width(&line, weight, size) > room && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::replace(&mut line, letter.to_string()));
            }
        }
        lines.push(line);
    }

    /// Parts that one font has, in the order in which they are written.
    fn by_face<'a>(&self, text: &'a str, weight: Weight) -> Vec<(usize, &'a str)> {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        for (place, letter) in text.char_indices() {
            let faces = weight.faces();
            let has = |face: &usize| self.0.get(*face).is_some_and(|loaded| loaded.face.glyph_index(letter).is_some());
            let face = faces.into_iter().find(has).unwrap_or(faces[0]);
            if parts.last().is_none_or(|(last, _)| *last != face) {
                parts.push((face, place));
            }
        }
        let ends = parts.iter().skip(1).map(|(_, start)| *start).chain([text.len()]);
        parts.iter().zip(ends).map(|((face, start), end)| (*face, text.get(*start..end).unwrap_or_default())).collect()
    }

    fn run<'a>(&self, face: usize, text: &'a str, is_rtl: bool, size: Ticks) -> Option<Run<'a>> {
        let loaded = self.0.get(face)?;
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(if is_rtl { Direction::RightToLeft } else { Direction::LeftToRight });
        let shaped = rustybuzz::shape(&loaded.face, &[], buffer);
        let advance: i64 = shaped.glyph_positions().iter().map(|glyph| i64::from(glyph.x_advance)).sum();
        let width = advance * i64::from(size) / i64::from(loaded.face.units_per_em()).max(1);
        Some(Run { text, font: loaded.font.clone(), is_rtl, width: Ticks::try_from(width).ok()? })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const SIZE: Ticks = 500;

    fn parts(text: &str) -> Vec<(String, usize, bool)> {
        let fonts = Fonts::loaded().unwrap();
        let of = |run: &Run<'_>| (run.text.to_owned(), fonts.0.iter().position(|loaded| loaded.font == run.font).unwrap(), run.is_rtl);
        fonts.runs(text, Weight::Regular, SIZE).iter().map(of).collect()
    }

    #[test]
    fn a_line_is_cut_where_the_font_or_the_direction_changes() {
        let run = |text: &str, face, is_rtl| (text.to_owned(), face, is_rtl);
        assert_eq!(parts("Łódź Ωμέγα Жук"), [run("Łódź Ωμέγα Жук", 0, false)]);
        assert_eq!(parts("東京 Ltd"), [run("東京", 2, false), run(" Ltd", 0, false)]);
        assert_eq!(
            parts("Acme مثال 7"),
            [run("Acme ", 0, false), run("7", 0, false), run("مثال ", 0, true)],
            "a number follows what it stands behind"
        );
        assert_eq!(parts("서울 東京"), [run("서울", 3, false), run(" ", 0, false), run("東京", 2, false)]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn a_text_is_wrapped_between_words_and_a_word_that_is_too_long_within() {
        let fonts = Fonts::loaded().unwrap();
        let room = fonts.width("one two", Weight::Bold, SIZE);
        let wrap = |text| fonts.wrap(text, Weight::Bold, SIZE, room);
        assert_eq!(wrap("one two one two three"), ["one two", "one two", "three"]);
        let long = wrap("a0123456789012345678 b");
        assert!(long.len() > 2 && long.concat().replace(' ', "") == "a0123456789012345678b", "{long:?}");
        assert!(long.iter().all(|line| fonts.width(line, Weight::Bold, SIZE) <= room), "{long:?}");
        assert_eq!(wrap(""), [""]);
    }

    /// Columns of figures line up.
    #[test]
    fn digits_are_as_wide_as_each_other() {
        let fonts = Fonts::loaded().unwrap();
        let widths: Vec<_> = ('0'..='9').map(|digit| fonts.width(&digit.to_string(), Weight::Regular, SIZE)).collect();
        assert!(widths.iter().all(|width| *width == widths[0] && *width > 0), "{widths:?}");
    }
}
