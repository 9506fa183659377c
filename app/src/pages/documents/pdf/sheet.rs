//! Pages of A4 that fill from top to bottom. Lengths are whole ticks; they become the floats of PDF in one place, and nothing is worked out with those.

use chrono::{Datelike, Timelike, Utc};
use krilla::{
    Document,
    color::rgb,
    geom::{PathBuilder, Point, Rect, Transform},
    metadata::{DateTime, Metadata},
    page::PageSettings,
    paint::{Fill, FillRule},
    surface::Surface,
    text::TextDirection,
};

use super::text::{Fonts, Ticks, Weight};

/// Ticks in a point, as a scale: a fiftieth.
const SCALE: f32 = 0.02;
/// A4, in points.
const PAPER: (f32, f32) = (595.0, 842.0);
/// The same in ticks, and the edge that stays free.
const WIDTH: Ticks = 595 * 50;
const HEIGHT: Ticks = 842 * 50;
const EDGE: Ticks = 50 * 50;
/// What text has beside the edges.
pub(super) const ROOM: Ticks = WIDTH - 2 * EDGE;
/// Where the last line above the foot may stand.
const LAST: Ticks = HEIGHT - EDGE - 20 * 50;

/// Sizes of letters.
pub(super) const BODY: Ticks = 9 * 50;
const SMALL: Ticks = 8 * 50;
const TITLE: Ticks = 18 * 50;
/// The most lines of a cell.
const CELL_LINES_MAX: usize = 40;

/// What is drawn.
enum Mark {
    Text { x: Ticks, y: Ticks, size: Ticks, weight: Weight, text: String, is_faint: bool },
    Rule { y: Ticks, thickness: Ticks },
}

/// A column of a table: its heading, its share of the width in hundredths, and whether it is flush right.
pub(super) struct Column<'a> {
    pub(super) heading: &'a str,
    pub(super) share: Ticks,
    pub(super) is_figures: bool,
}

/// Pages on the way.
pub(super) struct Sheets {
    fonts: &'static Fonts,
    pages: Vec<Vec<Mark>>,
    /// The top of what comes next.
    y: Ticks,
}

impl Sheets {
    /// An empty page; `None` if there are no fonts.
    pub(super) fn new() -> Option<Self> {
        Some(Self { fonts: Fonts::loaded()?, pages: vec![Vec::new()], y: EDGE })
    }

    /// What it all is.
    pub(super) fn title(&mut self, text: &str) {
        for line in self.fonts.wrap(text, Weight::Bold, TITLE, ROOM) {
            self.make_room(TITLE * 3 / 2);
            self.y += TITLE * 3 / 2;
            self.put(EDGE, self.y - TITLE / 2, TITLE, Weight::Bold, line, false);
        }
        self.skip(BODY);
    }

    /// A heading, which does not stand alone below a page.
    pub(super) fn heading(&mut self, text: &str) {
        self.skip(BODY);
        self.make_room(BODY * 6);
        self.line(EDGE, text, Weight::Bold, BODY, false);
        self.skip(BODY / 3);
    }

    /// A paragraph in small letters.
    pub(super) fn note(&mut self, text: &str) {
        self.skip(BODY / 2);
        for line in self.fonts.wrap(text, Weight::Regular, SMALL, ROOM) {
            self.line(EDGE, &line, Weight::Regular, SMALL, true);
        }
    }

    /// Names and what is said of each, side by side, the first line of each in bold.
    pub(super) fn side_by_side(&mut self, parts: &[(&str, Vec<String>)]) {
        let count = Ticks::try_from(parts.len()).unwrap_or(1).max(1);
        let (room, top) = (ROOM / count, self.y);
        let mut bottom = top;
        for (place, (name, said)) in (0..).zip(parts) {
            self.y = top;
            let x = EDGE + place * room;
            self.line(x, name, Weight::Regular, SMALL, true);
            for (place, text) in said.iter().enumerate() {
                let weight = if place == 0 { Weight::Bold } else { Weight::Regular };
                for line in self.fonts.wrap(text, weight, BODY, room - BODY) {
                    self.line(x, &line, weight, BODY, false);
                }
            }
            bottom = bottom.max(self.y);
        }
        self.y = bottom;
        self.skip(BODY);
    }

    /// A name and what is said of it, on a line.
    pub(super) fn fact(&mut self, name: &str, said: &str) {
        let indent = ROOM * 3 / 10;
        for (place, line) in self.fonts.wrap(said, Weight::Regular, BODY, ROOM - indent).into_iter().enumerate() {
            self.line(EDGE + indent, &line, Weight::Regular, BODY, false);
            if place == 0 {
                self.put(EDGE, self.y - BODY / 3, BODY, Weight::Regular, name.to_owned(), true);
            }
        }
    }

    /// Some room between two parts.
    pub(super) fn space(&mut self) {
        self.skip(BODY * 2);
    }

    /// Rows below headings, which stand on each page again. The last row may be a sum, in bold below a rule.
    pub(super) fn table(&mut self, columns: &[Column<'_>], rows: &[Vec<String>], has_sum: bool) {
        self.headings(columns);
        for (place, cells) in self.cells(columns, rows, has_sum).into_iter().enumerate() {
            let is_sum = has_sum && place + 1 == rows.len();
            let weight = weight_of(is_sum);
            let lines = cells.iter().map(|(_, lines)| lines.len()).max().unwrap_or(1);
            let lines = Ticks::try_from(lines).unwrap_or(1);
            if self.make_room(lines * height(BODY) + BODY / 2) {
                self.headings(columns);
            }
            if is_sum {
                self.rule(40);
            }
            let top = self.y;
            let mut x = EDGE;
            for (column, (size, cell)) in columns.iter().zip(cells) {
                let end = x + ROOM * column.share / 100;
                for (place, line) in (0..).zip(cell) {
                    let x = if column.is_figures { end - self.fonts.width(&line, weight, size) } else { x };
                    // A small figure stands on the line of the others.
                    self.put(x, top + (place + 1) * height(BODY) - BODY / 3, size, weight, line, false);
                }
                x = end;
            }
            self.y = top + lines * height(BODY);
            self.skip(BODY / 4);
        }
        self.skip(BODY);
    }

    /// Every row's cells. The figures of a column are as large as the longest of them can be, so that digits stand below each other.
    fn cells(&self, columns: &[Column<'_>], rows: &[Vec<String>], has_sum: bool) -> Vec<Vec<(Ticks, Vec<String>)>> {
        let cells_of = |(place, row): (usize, &Vec<String>)| -> Vec<_> {
            let weight = weight_of(has_sum && place + 1 == rows.len());
            columns.iter().zip(row).map(|(column, text)| self.cell(column, text, weight)).collect()
        };
        let mut all: Vec<Vec<(Ticks, Vec<String>)>> = rows.iter().enumerate().map(cells_of).collect();
        for column in 0..columns.len() {
            let size = all.iter().filter_map(|row| row.get(column)).map(|(size, _)| *size).min().unwrap_or(BODY);
            for (of_cell, _) in all.iter_mut().filter_map(|row| row.get_mut(column)) {
                *of_cell = size;
            }
        }
        all
    }

    /// A cell's lines, and how large their letters are. A figure is never broken: a number in two parts is two numbers. One that is too wide is smaller.
    fn cell(&self, column: &Column<'_>, text: &str, weight: Weight) -> (Ticks, Vec<String>) {
        let room = ROOM * column.share / 100;
        if !column.is_figures {
            let mut lines = self.fonts.wrap(text, weight, BODY, room - BODY);
            // What is higher than a page stands on none.
            lines.truncate(CELL_LINES_MAX);
            return (BODY, lines);
        }
        let (room, width) = (room - BODY / 2, self.fonts.width(text, weight, BODY));
        (if width > room { BODY * room / width } else { BODY }, vec![text.to_owned()])
    }

    /// Above a row at least: headings alone at the foot of a page are of nothing.
    fn headings(&mut self, columns: &[Column<'_>]) {
        self.make_room(height(SMALL) + height(BODY) + BODY * 2);
        let top = self.y;
        let mut x = EDGE;
        for column in columns {
            self.y = top;
            let end = x + ROOM * column.share / 100;
            let x_of = if column.is_figures { end - self.fonts.width(column.heading, Weight::Regular, SMALL) } else { x };
            self.line(x_of, column.heading, Weight::Regular, SMALL, true);
            x = end;
        }
        self.rule(20);
        self.skip(BODY / 4);
    }

    fn rule(&mut self, thickness: Ticks) {
        self.y += BODY / 4;
        self.mark(Mark::Rule { y: self.y, thickness });
        self.y += BODY / 4;
    }

    /// A line of text, from its left end.
    fn line(&mut self, x: Ticks, text: &str, weight: Weight, size: Ticks, is_faint: bool) {
        self.make_room(height(size));
        self.y += height(size);
        self.put(x, self.y - size / 3, size, weight, text.to_owned(), is_faint);
    }

    fn put(&mut self, x: Ticks, y: Ticks, size: Ticks, weight: Weight, text: String, is_faint: bool) {
        self.mark(Mark::Text { x, y, size, weight, text, is_faint });
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    fn skip(&mut self, height: Ticks) {
        self.y += height;
    }

    /// Begins a page where the rest of this one is too low. Returns whether it did.
    fn make_room(&mut self, height: Ticks) -> bool {
        let is_full = self.y + height > LAST;
        if is_full {
            self.pages.push(Vec::new());
            self.y = EDGE;
        }
        is_full
    }

    /// The file, each page with its number below. `None` if it cannot be written.
    pub(super) fn finish(self, title: &str, author: &str, at: chrono::DateTime<Utc>) -> Option<Vec<u8>> {
        let mut document = Document::new();
        let metadata =
            Metadata::new().title(title.to_owned()).authors(vec![author.to_owned()]).language("en".to_owned()).creation_date(date(at)?);
        document.set_metadata(metadata);
        let count = self.pages.len();
        for (place, marks) in self.pages.iter().enumerate() {
            let mut page = document.start_page_with(PageSettings::from_wh(PAPER.0, PAPER.1)?);
            let mut surface = page.surface();
            surface.push_transform(&Transform::from_scale(SCALE, SCALE));
            for mark in marks {
                draw(&mut surface, self.fonts, mark)?;
            }
            let text = format!("{title}, page {} of {count}", place + 1);
            let foot = Mark::Text { x: EDGE, y: HEIGHT - EDGE, size: SMALL, weight: Weight::Regular, text, is_faint: true };
            draw(&mut surface, self.fonts, &foot)?;
            surface.pop();
        }
        document.finish().ok()
    }
}

/// A sum is bold.
const fn weight_of(is_sum: bool) -> Weight {
    if is_sum { Weight::Bold } else { Weight::Regular }
}

/// What a line of letters of this size takes.
const fn height(size: Ticks) -> Ticks {
    size * 14 / 10
}

fn draw(surface: &mut Surface<'_>, fonts: &Fonts, mark: &Mark) -> Option<()> {
    match mark {
        Mark::Text { x, y, size, weight, text, is_faint } => {
            surface.set_fill(Some(fill(*is_faint)));
            let mut x = *x;
            for run in fonts.runs(text, *weight, *size) {
                let direction = if run.is_rtl { TextDirection::RightToLeft } else { TextDirection::LeftToRight };
                surface.draw_text(Point::from_xy(float(x)?, float(*y)?), run.font, float(*size)?, run.text, false, direction);
                x += run.width;
            }
        }
        Mark::Rule { y, thickness } => {
            surface.set_fill(Some(fill(true)));
            let mut path = PathBuilder::new();
            path.push_rect(Rect::from_xywh(float(EDGE)?, float(*y)?, float(ROOM)?, float(*thickness)?)?);
            surface.draw_path(&path.finish()?);
        }
    }
    Some(())
}

fn fill(is_faint: bool) -> Fill {
    let shade = if is_faint { 90 } else { 20 };
    Fill { paint: rgb::Color::new(shade, shade, shade).into(), rule: FillRule::NonZero, ..Fill::default() }
}

/// A length on a page as PDF has it: every one of these fits.
fn float(ticks: Ticks) -> Option<f32> {
    u16::try_from(ticks).ok().map(f32::from)
}

fn date(at: chrono::DateTime<Utc>) -> Option<DateTime> {
    let part = |part: u32| u8::try_from(part).ok();
    let date = DateTime::new(u16::try_from(at.year()).ok()?).month(part(at.month())?).day(part(at.day())?);
    Some(date.hour(part(at.hour())?).minute(part(at.minute())?).second(part(at.second())?).utc_offset_hour(0).utc_offset_minute(0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn texts(page: &[Mark]) -> Vec<&str> {
        page.iter().filter_map(|mark| if let Mark::Text { text, .. } = mark { Some(text.as_str()) } else { None }).collect()
    }

    /// No row is lost between two pages or stands in the foot, and the headings stand on each page.
    #[test]
    fn a_table_goes_on_on_the_next_page_below_its_headings() {
        let mut sheets = Sheets::new().unwrap();
        let columns = [Column { heading: "Name", share: 70, is_figures: false }, Column { heading: "Amount", share: 30, is_figures: true }];
        let rows: Vec<_> = (1..=150).map(|row| vec![format!("row {row}"), format!("{row}.00")]).collect();
        sheets.table(&columns, &rows, true);
        assert!(sheets.pages.len() > 2, "{}", sheets.pages.len());
        for page in &sheets.pages {
            assert_eq!(texts(page)[..2], ["Name", "Amount"]);
            assert!(page.iter().all(|mark| matches!(mark, Mark::Rule { y, .. } | Mark::Text { y, .. } if *y <= LAST)));
        }
        let names: Vec<_> = sheets.pages.iter().flat_map(|page| texts(page)).filter(|text| text.starts_with("row ")).collect();
        assert_eq!(names, (1..=150).map(|row| format!("row {row}")).collect::<Vec<_>>());
        let file = sheets.finish("Statement", "Demo 東京 서울 مثال", "2026-11-27T10:00:00Z".parse().unwrap()).unwrap();
        assert!(file.starts_with(b"%PDF-") && file.len() < 200_000, "of the fonts only what is used: {}", file.len());
    }

    #[test]
    fn a_table_that_begins_at_the_foot_of_a_page_has_its_headings_on_the_next() {
        for above in 0..70 {
            let mut sheets = Sheets::new().unwrap();
            (0..above).for_each(|_| sheets.note("above"));
            sheets.table(
                &[Column { heading: "A", share: 50, is_figures: false }, Column { heading: "B", share: 50, is_figures: true }],
                &[vec!["a".to_owned(), "1".to_owned()]],
                false,
            );
            let page = sheets.pages.iter().find(|page| texts(page).contains(&"A")).unwrap();
            assert!(["B", "a", "1"].iter().all(|text| texts(page).contains(text)), "below {above} lines");
        }
    }

    #[test]
    fn no_figure_is_broken_and_none_is_wider_than_its_column() {
        let mut sheets = Sheets::new().unwrap();
        let columns = [Column { heading: "Calls", share: 10, is_figures: true }, Column { heading: "Cost", share: 20, is_figures: true }];
        let row = vec!["123,456,789,012".to_owned(), "$9,999,999.123456789".to_owned()];
        sheets.table(&columns, &[row.clone(), row.clone()], true);
        for figure in &row {
            assert_eq!(texts(&sheets.pages[0]).iter().filter(|text| *text == figure).count(), 2, "{figure}");
        }
        for mark in &sheets.pages[0] {
            let Mark::Text { x, text, weight, size, .. } = mark else { continue };
            let start = if text == &row[1] { EDGE + ROOM / 10 } else { EDGE };
            assert!(*x >= start || !row.contains(text), "{text} begins at {x}, for {}", sheets.fonts.width(text, *weight, *size));
        }
    }

    #[test]
    fn the_figures_of_a_column_are_of_one_size() {
        let mut sheets = Sheets::new().unwrap();
        let columns = [Column { heading: "Cost", share: 15, is_figures: true }];
        sheets.table(&columns, &[vec!["$1.00".to_owned()], vec!["$9,999,999.123456789".to_owned()]], false);
        let sizes: Vec<_> = sheets.pages[0]
            .iter()
            .filter_map(|mark| match mark {
                Mark::Text { text, size, .. } => text.starts_with('$').then_some(*size),
                Mark::Rule { .. } => None,
            })
            .collect();
        assert!(sizes.len() == 2 && sizes[0] == sizes[1] && sizes[0] < BODY, "{sizes:?}");
    }

    #[test]
    fn figures_end_where_their_column_ends() {
        let mut sheets = Sheets::new().unwrap();
        let columns = [Column { heading: "Amount", share: 100, is_figures: true }];
        sheets.table(&columns, &[vec!["1.00".to_owned()], vec!["1,000.00".to_owned()]], false);
        let ends = sheets.pages[0].iter().filter_map(|mark| match mark {
            Mark::Text { x, text, weight, size, .. } => Some(x + sheets.fonts.width(text, *weight, *size)),
            Mark::Rule { .. } => None,
        });
        assert!(ends.into_iter().all(|end| end == EDGE + ROOM));
    }
}
