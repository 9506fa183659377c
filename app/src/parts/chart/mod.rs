//! Stacked bars over time, drawn on the server as plain SVG.
//!
//! Bars are placed in per cent and text in pixels, so that the picture stretches with the page and its labels stay legible on a phone. Each
//! series has a hue *and* a hatching. The same figures stand in a table below; pointing at a bar or focusing it shows its figures, by CSS alone.

mod scale;
mod table;

use leptos::{ev, leptos_dom::helpers::window_event_listener, prelude::*, wasm_bindgen::JsCast, web_sys};
use serde::{Deserialize, Serialize};

use self::scale::{Scale, percent};

/// Series that have a hue of their own; one more, "other", is grey.
pub(crate) const SERIES_MAX: usize = 8;
/// More bars than these are so thin that a label below one seems to be below its neighbours too.
const TICKS_BELOW_BARS_MAX: usize = 40;

/// A chart.
pub(crate) struct Chart {
    /// What it shows: the caption.
    pub(crate) title: String,
    /// The heading of the table's first column.
    pub(crate) step: &'static str,
    /// How a value is written on the axis.
    pub(crate) axis: fn(i64) -> String,
    /// How a value is written where it is read.
    pub(crate) value: fn(i64) -> String,
    /// How it is written in a column of them, one point below the other.
    pub(crate) cell: fn(i64) -> AnyView,
    /// One bar each, in order.
    pub(crate) columns: Vec<Column>,
    /// The parts of the bars, largest first. There are hues for [`SERIES_MAX`] of them and one more.
    pub(crate) series: Vec<Series>,
}

/// One bar.
pub(crate) struct Column {
    /// Its whole name.
    pub(crate) name: String,
    /// Its name on the axis, where it has one.
    pub(crate) short: Option<String>,
    /// How much of its step it holds.
    pub(crate) extent: Extent,
}

/// How much of its step a bar holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// What the range has of it.
    Part,
    /// What there is of it yet.
    SoFar,
}

/// One part of each bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Its name.
    pub(crate) label: String,
    /// Its colour and hatching: one of [`SERIES_MAX`], or that one for what has none of its own.
    pub(crate) hue: usize,
    /// Its value in each column; not negative.
    pub(crate) values: Vec<i64>,
}

impl Chart {
    fn total_of(&self, column: usize) -> i64 {
        self.series.iter().fold(0, |sum, series| sum.saturating_add(series.values[column]))
    }

    fn column_name(&self, column: usize) -> String {
        let Column { name, extent, .. } = &self.columns[column];
        if *extent == Extent::SoFar { format!("{name}, so far") } else { name.clone() }
    }

    /// The chart with its legend and its table.
    pub(crate) fn view(&self) -> AnyView {
        let chart = self;
        let scale = Scale::up_to((0..chart.columns.len()).map(|column| chart.total_of(column)).max().unwrap_or_default());
        view! {
            <figure class="chart">
                <figcaption>{chart.title.clone()}</figcaption>
                {legend(chart)}
                <div class="chart-area">
                    {axis(chart, &scale)}
                    <div class="chart-plot">
                        {bars(chart, &scale)}
                        {readouts(chart)}
                    </div>
                    {labels(chart)}
                </div>
                {table::view(chart)}
            </figure>
        }
        .into_any()
    }
}

fn legend(chart: &Chart) -> AnyView {
    let is_split = chart.series.len() > 1;
    let extents = [(Extent::Part, "part of it"), (Extent::SoFar, "so far")];
    let extents: Vec<_> = extents.into_iter().filter(|(extent, _)| chart.columns.iter().any(|column| column.extent == *extent)).collect();
    if !is_split && extents.is_empty() {
        return ().into_any();
    }
    let parts = chart.series.iter().filter(|_| is_split);
    let parts = parts.map(|series| view! { <li>{swatch(series.hue)}{series.label.clone()}</li> }).collect_view();
    let extents = extents.into_iter().map(|(extent, words)| view! { <li>{outline_swatch(extent)}{words}</li> }).collect_view();
    view! { <ul class="chart-legend">{parts}{extents}</ul> }.into_any()
}

/// The mark of a bar that is not whole.
fn outline_swatch(extent: Extent) -> AnyView {
    view! { <svg class="swatch" width="14" height="14" aria-hidden="true"><rect x="1" y="1" width="12" height="12" class=outline(extent)></rect></svg> }
        .into_any()
}

/// A finer line for what is over.
const fn outline(extent: Extent) -> &'static str {
    match extent {
        Extent::Whole => "",
        Extent::Part => "outline outline-part",
        Extent::SoFar => "outline",
    }
}

fn swatch(hue: usize) -> AnyView {
    view! { <svg class="swatch" width="14" height="14" aria-hidden="true"><rect width="100%" height="100%" class=class_of(hue) fill=fill(hue)></rect></svg> }
        .into_any()
}

/// The y axis: its own picture, since its width is in pixels.
fn axis(chart: &Chart, scale: &Scale) -> AnyView {
    let ticks =
        scale.ticks().map(|tick| view! { <text x="100%" y=scale.below_top(tick) dy="0.32em">{(chart.axis)(tick)}</text> }).collect_view();
    view! { <svg class="chart-axis" aria-hidden="true">{ticks}</svg> }.into_any()
}

fn bars(chart: &Chart, scale: &Scale) -> AnyView {
    let grid = scale
        .ticks()
        .map(|tick| {
            let y = scale.below_top(tick);
            view! { <line class="chart-grid" x1="0" x2="100%" y1=y.clone() y2=y></line> }
        })
        .collect_view();
    let columns = (0..chart.columns.len()).map(|column| bar(chart, scale, column)).collect_view();
    let summary = format!("{}: {} bars. The same figures are in the table below.", chart.title, chart.columns.len());
    view! { <svg class="chart-bars" role="img" aria-label=summary>{patterns()}{grid}{columns}</svg> }.into_any()
}

/// A picture of its own, as wide as its column: how much of that the bar fills is in the style sheet, so that it can have a greatest width in pixels.
fn bar(chart: &Chart, scale: &Scale, column: usize) -> AnyView {
    let count = chart.columns.len();
    let mut below = 0_i64;
    let parts = chart
        .series
        .iter()
        .filter_map(|series| {
            let value = series.values[column];
            let above = below.saturating_add(value);
            let (y, height) = (scale.below_top(above), scale.between(below, above));
            below = above;
            (value > 0).then(|| view! { <rect y=y height=height class=class_of(series.hue) fill=fill(series.hue)></rect> })
        })
        .collect_view();
    let extent = chart.columns[column].extent;
    // One line around the whole bar, however many parts it has.
    let outline = (extent != Extent::Whole && below > 0)
        .then(|| view! { <rect y=scale.below_top(below) height=scale.between(0, below) class=outline(extent)></rect> });
    view! { <svg x=percent(column, count) width=percent(1, count) height="100%">{parts}{outline}</svg> }.into_any()
}

/// One element per bar, over the whole height: it shows the bar's figures while it is pointed at or focused. One of them is in the tab
/// order, the one that had the focus last; arrow keys lead to the others, Escape hides the figures.
fn readouts(chart: &Chart) -> AnyView {
    let dismissed = RwSignal::new(false);
    Effect::new(move || {
        let listener = window_event_listener(ev::keydown, move |event| {
            if event.key() == "Escape" {
                dismissed.set(true);
            }
        });
        on_cleanup(move || listener.remove());
    });
    let last = chart.columns.len().saturating_sub(1);
    let entries = (0..chart.columns.len())
        .map(|column| {
            let side = if column * 2 > last { "readout readout-left" } else { "readout" };
            let lines = chart
                .series
                .iter()
                .filter(|series| chart.series.len() > 1 && series.values[column] > 0)
                .map(|series| view! { <span class="readout-line">{swatch(series.hue)}<span>{series.label.clone()}</span><span class="number">{(chart.value)(series.values[column])}</span></span> })
                .collect_view();
            view! {
                <li tabindex=if column == last { "0" } else { "-1" }>
                    <span class=side>
                        <strong>{chart.column_name(column)}</strong>
                        {lines}
                        <span class="readout-line readout-total"><span>"Total"</span><span class="number">{(chart.value)(chart.total_of(column))}</span></span>
                    </span>
                </li>
            }
        })
        .collect_view();
    view! {
        <ol
            class="chart-columns" class:dismissed=dismissed aria-label="Bars. The arrow keys move between them."
            on:keydown=move |event| {
                dismissed.set(false);
                move_focus(&event);
            }
            on:focusin=|event| take_tab_stop(&event)
            on:pointerover=move |_| dismissed.set(false)
        >
            {entries}
        </ol>
    }
    .into_any()
}

/// The bar that has the focus is the one that Tab leaves, and comes back to.
fn take_tab_stop(event: &web_sys::FocusEvent) {
    let Some(column) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return };
    let before = column.parent_element().and_then(|all| all.query_selector(":scope > [tabindex='0']").ok().flatten());
    for (bar, stop) in before.iter().map(|bar| (bar, "-1")).chain([(&column, "0")]) {
        // Fails only for a name that is none.
        let _ = bar.set_attribute("tabindex", stop);
    }
}

fn move_focus(event: &web_sys::KeyboardEvent) {
    let Some(column) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return };
    let next = match event.key().as_str() {
        "ArrowRight" => column.next_element_sibling(),
        "ArrowLeft" => column.previous_element_sibling(),
        "Home" => column.parent_element().and_then(|all| all.first_element_child()),
        "End" => column.parent_element().and_then(|all| all.last_element_child()),
        _ => return,
    };
    event.prevent_default();
    if let Some(next) = next.and_then(|next| next.dyn_into::<web_sys::HtmlElement>().ok()) {
        // Fails only for an element that has left the page.
        let _ = next.focus();
    }
}

/// The x axis. Seen from the last label, every other one gives way on a phone.
fn labels(chart: &Chart) -> AnyView {
    let count = chart.columns.len();
    let named: Vec<_> = chart.columns.iter().enumerate().filter_map(|(column, named)| Some((column, named.short.clone()?))).collect();
    let last = named.len().saturating_sub(1);
    let labels = named
        .into_iter()
        .enumerate()
        .map(|(place, (column, short))| {
            let class = if (last - place) % 2 == 1 { "minor" } else { "" };
            let (x, end) = (percent(column * 2 + 1, count * 2), x_of_tick(column, count));
            view! {
                <line class=class x1=end.clone() x2=end y1="0" y2="5"></line>
                <text class=class x=x y="50%" dy="0.32em">{short}</text>
            }
        })
        .collect_view();
    view! { <svg class="chart-labels" aria-hidden="true">{labels}</svg> }.into_any()
}

/// Of many bars a tick stands where the step begins, of few below the middle of the bar.
fn x_of_tick(column: usize, count: usize) -> String {
    if count > TICKS_BELOW_BARS_MAX { percent(column, count) } else { percent(column * 2 + 1, count * 2) }
}

fn class_of(hue: usize) -> String {
    format!("hue-{}", hue.min(SERIES_MAX))
}

fn fill(hue: usize) -> String {
    format!("url(#hatch-{})", hue.min(SERIES_MAX))
}

/// One hatching per series, so that no two are told apart by hue alone. They are drawn in their series' hue by CSS.
fn patterns() -> AnyView {
    const STROKES: [&str; SERIES_MAX + 1] = [
        "",
        "M-2 2l4-4M0 8l8-8M6 10l4-4",
        "M3 4h2M3.5 4h1",
        "M-2 6l4 4M0 0l8 8M6-2l4 4",
        "M0 4h8",
        "M4 0v8",
        "M0 4h8M4 0v8",
        "M1 2h2M5 6h2",
        "M0 1h8M0 5h8",
    ];
    let patterns = STROKES
        .into_iter()
        .enumerate()
        .map(|(index, strokes)| {
            view! {
                <pattern id=format!("hatch-{index}") class=class_of(index) width="8" height="8" patternUnits="userSpaceOnUse">
                    <rect class="hatch-ground" width="8" height="8"></rect>
                    <path class="hatch-strokes" d=strokes></path>
                </pattern>
            }
        })
        .collect_view();
    view! { <defs>{patterns}</defs> }.into_any()
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;
    use crate::parts::money;

    /// The third still runs, and the range has a part of the first.
    fn column(day: usize) -> Column {
        let extent = [Extent::Part, Extent::Whole, Extent::SoFar][day - 1];
        Column { name: format!("{day} Nov 2026"), short: (day > 1).then(|| format!("{day} Nov")), extent }
    }

    fn chart(series: usize) -> Chart {
        Chart {
            title: "Requests per day".to_owned(),
            step: "Day",
            axis: money::grouped,
            value: money::grouped,
            cell: |count| money::grouped(count).into_any(),
            columns: (1..=3).map(column).collect(),
            series: (0..series).map(|hue| Series { label: format!("model-{hue}"), hue, values: vec![10, 0, 5] }).collect(),
        }
    }

    fn html(series: usize) -> String {
        Owner::new().with(|| chart(series).view().to_html())
    }

    #[test]
    fn bars_start_at_zero_and_nothing_draws_no_bar() {
        let html = html(1);
        assert_eq!(html.matches("fill=\"url(#hatch-0)\"").count(), 2);
        assert!(html.contains(r#"y="0.00%" height="100.00%""#), "{html}");
    }

    #[test]
    fn no_style_attribute_breaks_the_content_security_policy() {
        assert!(!html(3).contains("style="));
    }

    #[test]
    fn a_bar_of_many_parts_has_one_outline() {
        let html = html(3);
        let bars = html.split_once("chart-columns").map_or("", |(bars, _)| bars.split_once("chart-bars").map_or("", |(_, bars)| bars));
        assert_eq!((bars.matches(r#"class="outline""#).count(), bars.matches("outline-part").count()), (1, 1), "{bars}");
        assert!(html.contains("</svg>part of it"), "{html}");
    }

    #[test]
    fn a_series_keeps_its_hue_wherever_it_stands() {
        let mut chart = chart(2);
        chart.series[0].hue = 5;
        let html = Owner::new().with(|| chart.view().to_html()).replace("<!>", "");
        assert!(html.contains(r#"fill="url(#hatch-5)" class="hue-5"></rect></svg>model-0"#), "{html}");
    }

    #[test]
    fn only_what_has_a_short_name_is_labelled() {
        let html = html(1).replace("<!>", "");
        assert!(html.contains(">2 Nov</text>") && html.contains(">3 Nov</text>") && !html.contains(">1 Nov</text>"), "{html}");
    }

    #[test]
    fn a_running_bar_says_so() {
        assert!(html(1).contains("3 Nov 2026, so far"));
        assert!(html(1).contains("</svg>so far"), "in the legend too: {}", html(1));
    }
}
