use std::collections::BTreeSet;

use proxy::{INSTRUMENTS, Instrument, Kind};

use super::*;
use crate::commands::metrics::dashboard::panels::sections;

/// What Prometheus puts beside the labels of a metric.
const OF_PROMETHEUS: [&str; 2] = ["instance", "le"];

fn expressions() -> Vec<String> {
    let queries = sections().into_iter().flat_map(|(_, panels)| panels).flat_map(|panel| panel.queries);
    queries.map(|(expression, _)| expression).collect()
}

/// The metric of a series, where there is one of that name.
fn instrument(series: &str) -> Option<&'static Instrument> {
    INSTRUMENTS.into_iter().find(|instrument| match instrument.kind {
        Kind::Histogram(_) => series.strip_prefix(instrument.name).is_some_and(|part| matches!(part, "_bucket" | "_sum" | "_count")),
        Kind::Counter | Kind::Gauge => series == instrument.name,
    })
}

/// Each series of an expression, with what stands in braces behind it.
fn series(expression: &str) -> Vec<(&str, &str)> {
    let ends = expression.match_indices('{').map(|(at, _)| at);
    ends.map(|at| {
        let name = expression[..at].rsplit(['(', ' ']).next().unwrap_or_default();
        let labels = expression[at + 1..].split('}').next().unwrap_or_default();
        (name, labels)
    })
    .collect()
}

#[test]
fn every_expression_asks_for_metrics_that_there_are_by_labels_that_they_have() {
    for expression in expressions() {
        let series = series(&expression);
        assert!(!series.is_empty(), "{expression}");
        for (name, selected) in series {
            let instrument = instrument(name).unwrap_or_else(|| panic!("there is no {name}: {expression}"));
            let by = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next()).flat_map(|labels| labels.split(", "));
            let selected = selected.split(", ").filter_map(|matcher| matcher.split(['=', '!']).next());
            for label in selected.chain(by) {
                assert!(instrument.labels.contains(&label) || OF_PROMETHEUS.contains(&label), "{name} has no {label}: {expression}");
            }
        }
    }
}

#[test]
fn a_legend_names_labels_that_its_expression_keeps() {
    for (expression, legend) in sections().into_iter().flat_map(|(_, panels)| panels).flat_map(|panel| panel.queries) {
        for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            let kept =
                expression.split("by (").skip(1).all(|rest| rest.split(')').next().is_some_and(|by| by.split(", ").any(|by| by == label)));
            assert!(kept, "{legend}: {expression}");
        }
    }
}

#[test]
fn every_metric_is_shown() {
    let shown: BTreeSet<_> = expressions()
        .iter()
        .flat_map(|expression| series(expression))
        .filter_map(|(name, _)| instrument(name))
        .map(|shown| shown.name)
        .collect();
    let all: BTreeSet<_> = INSTRUMENTS.into_iter().map(|instrument| instrument.name).collect();
    assert_eq!(shown, all);
}

#[test]
fn no_two_panels_have_a_place_or_an_id_in_common() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a side"));
        assert!(x + w <= 24, "{panel}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{panel}");
        }
    }
}

#[test]
fn what_is_asked_of_a_data_source_says_of_which() {
    let dashboard = dashboard();
    assert_eq!(dashboard["templating"]["list"][0]["name"], "datasource");
    for panel in dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        let names: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
        assert!(names.len() == targets.len() && !targets.is_empty(), "{panel}");
        assert!(targets.iter().chain([panel]).all(|asked| asked["datasource"]["uid"] == "${datasource}"), "{panel}");
    }
}
