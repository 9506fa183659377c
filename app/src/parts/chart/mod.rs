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
/// Labels that fit below the bars of a wide page.
const LABELS_MAX: usize = 10;
/// How much of its column a bar fills, in per cent.
const BAR_FILL: usize = 72;

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
    /// One bar each, in order.
    pub(crate) columns: Vec<Column>,
    /// The parts of the bars, largest first. There are hues for [`SERIES_MAX`] of them and one more.
    pub(crate) series: Vec<Series>,
}

/// One bar.
pub(crate) struct Column {
    /// Its whole name.
    pub(crate) name: String,
    /// Its name on the axis.
    pub(crate) short: String,
    /// Whether more is still to come.
    pub(crate) so_far: bool,
}

/// One part of each bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Its name.
    pub(crate) label: String,
    /// Its value in each column; not negative.
    pub(crate) values: Vec<i64>,
}

impl Chart {
    fn total_of(&self, column: usize) -> i64 {
        self.series.iter().fold(0, |sum, series| sum.saturating_add(series.values[column]))
    }

    fn column_name(&self, column: usize) -> String {
        let Column { name, so_far, .. } = &self.columns[column];
        if *so_far { format!("{name}, so far") } else { name.clone() }
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
    let is_running = chart.columns.iter().any(|column| column.so_far);
    if !is_split && !is_running {
        return ().into_any();
    }
    let parts = chart.series.iter().enumerate().filter(|_| is_split);
    let parts = parts.map(|(index, series)| view! { <li>{swatch(index)}{series.label.clone()}</li> }).collect_view();
    let running = is_running.then(|| view! { <li>{outline()}"so far"</li> });
    view! { <ul class="chart-legend">{parts}{running}</ul> }.into_any()
}

/// The mark of a bar that is not yet whole.
fn outline() -> AnyView {
    view! { <svg class="swatch so-far" width="14" height="14" aria-hidden="true"><rect x="1" y="1" width="12" height="12" fill="none"></rect></svg> }
        .into_any()
}

fn swatch(series: usize) -> AnyView {
    view! { <svg class="swatch" width="14" height="14" aria-hidden="true"><rect width="100%" height="100%" class=hue(series) fill=fill(series)></rect></svg> }
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

fn bar(chart: &Chart, scale: &Scale, column: usize) -> AnyView {
    let (count, gap) = (chart.columns.len(), 100 - BAR_FILL);
    let x = percent(column * 200 + gap, count * 200);
    let width = percent(BAR_FILL, count * 100);
    let mut below = 0_i64;
    let parts = chart
        .series
        .iter()
        .enumerate()
        .filter_map(|(index, series)| {
            let value = series.values[column];
            let above = below.saturating_add(value);
            let (y, height) = (scale.below_top(above), scale.between(below, above));
            below = above;
            (value > 0).then(|| view! { <rect x=x.clone() y=y width=width.clone() height=height class=hue(index) fill=fill(index)></rect> })
        })
        .collect_view();
    view! { <g class:so-far=chart.columns[column].so_far>{parts}</g> }.into_any()
}

/// One element per bar, over the whole height: it shows the bar's figures while it is pointed at or focused. One of them is in the tab
/// order; arrow keys lead to the others, Escape hides the figures.
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
                .enumerate()
                .filter(|(_, series)| chart.series.len() > 1 && series.values[column] > 0)
                .map(|(index, series)| view! { <span class="readout-line">{swatch(index)}<span>{series.label.clone()}</span><span class="number">{(chart.value)(series.values[column])}</span></span> })
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
            on:pointerover=move |_| dismissed.set(false)
        >
            {entries}
        </ol>
    }
    .into_any()
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

/// The x axis: as many labels as fit; every other one gives way on a phone.
fn labels(chart: &Chart) -> AnyView {
    let count = chart.columns.len();
    let every = count.div_ceil(LABELS_MAX).max(1);
    let labels = chart
        .columns
        .iter()
        .enumerate()
        .step_by(every)
        .enumerate()
        .map(|(place, (column, Column { short, .. }))| {
            let class = if place % 2 == 1 { "minor" } else { "" };
            view! { <text class=class x=percent(column * 2 + 1, count * 2) y="50%" dy="0.32em">{short.clone()}</text> }
        })
        .collect_view();
    view! { <svg class="chart-labels" aria-hidden="true">{labels}</svg> }.into_any()
}

fn hue(series: usize) -> String {
    format!("hue-{}", series.min(SERIES_MAX))
}

fn fill(series: usize) -> String {
    format!("url(#hatch-{})", series.min(SERIES_MAX))
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
                <pattern id=format!("hatch-{index}") class=hue(index) width="8" height="8" patternUnits="userSpaceOnUse">
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

    fn chart(series: usize) -> Chart {
        Chart {
            title: "Requests per day".to_owned(),
            step: "Day",
            axis: money::grouped,
            value: money::grouped,
            columns: (1..=3).map(|day| Column { name: format!("{day} Nov 2026"), short: format!("{day} Nov"), so_far: day == 3 }).collect(),
            series: (0..series).map(|index| Series { label: format!("model-{index}"), values: vec![10, 0, 5] }).collect(),
        }
    }

    fn html(series: usize) -> String {
        Owner::new().with(|| chart(series).view().to_html())
    }

    #[test]
    fn bars_start_at_zero_and_nothing_draws_no_bar() {
        let html = html(1);
        assert_eq!(html.matches("fill=\"url(#hatch-0)\"").count(), 2);
        assert!(html.contains(r#"y="0.00%" width="24.00%" height="100.00%""#), "{html}");
    }

    #[test]
    fn no_style_attribute_breaks_the_content_security_policy() {
        assert!(!html(3).contains("style="));
    }

    #[test]
    fn a_running_bar_says_so() {
        assert!(html(1).contains("3 Nov 2026, so far"));
        assert!(html(1).contains("</svg>so far"), "in the legend too: {}", html(1));
    }
}
