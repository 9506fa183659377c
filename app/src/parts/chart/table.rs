//! The chart's figures as a table, for whoever does not see bars or wants to copy them.

use leptos::prelude::*;

use super::Chart;

/// The table, folded away until it is asked for.
pub(super) fn view(chart: &Chart) -> AnyView {
    let split = chart.series.len() > 1;
    let heads = chart
        .series
        .iter()
        .filter(|_| split)
        .map(|series| view! { <th scope="col" class="number">{series.label.clone()}</th> })
        .collect_view();
    let rows = (0..chart.columns.len())
        .map(|column| {
            let cells = chart.series.iter().filter(|_| split).map(|series| number((chart.cell)(series.values[column]))).collect_view();
            view! {
                <tr>
                    <th scope="row">{chart.column_name(column)}</th>
                    {cells}
                    {number((chart.cell)(chart.total_of(column)))}
                </tr>
            }
        })
        .collect_view();
    let sums: Vec<i64> =
        chart.series.iter().map(|series| series.values.iter().fold(0, |sum: i64, value| sum.saturating_add(*value))).collect();
    let sum = sums.iter().fold(0, |sum: i64, value| sum.saturating_add(*value));
    let sum_cells = sums.into_iter().filter(|_| split).map(|sum| number((chart.cell)(sum))).collect_view();
    view! {
        <details class="chart-table">
            <summary>"Show as a table"</summary>
            <div class="scroll" tabindex="0" role="region" aria-label=format!("{} as a table", chart.title)>
                <table class="plain">
                    <thead><tr><th scope="col">{chart.step}</th>{heads}<th scope="col" class="number">"Total"</th></tr></thead>
                    <tbody>{rows}</tbody>
                    <tfoot><tr><th scope="row">"Total"</th>{sum_cells}{number((chart.cell)(sum))}</tr></tfoot>
                </table>
            </div>
        </details>
    }
    .into_any()
}

fn number(figure: AnyView) -> AnyView {
    view! { <td class="number">{figure}</td> }.into_any()
}
