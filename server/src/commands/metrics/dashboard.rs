//! The dashboard for Grafana, in its classic format (<https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>).

mod panels;
mod query;
#[cfg(test)]
#[expect(clippy::panic, reason = "a test fails by panicking")]
mod tests;

use serde_json::{Value, json};

use self::panels::{Panel, sections};

/// The last version of the classic format whose fields are used here; Grafana brings it to its own.
const SCHEMA_VERSION: u32 = 39;
/// Grafana's grid is so wide.
const GRID_WIDTH: usize = 24;
const PANEL_WIDTH: usize = 8;
const PANEL_HEIGHT: usize = 8;
const PANELS_A_LINE: usize = GRID_WIDTH / PANEL_WIDTH;

/// All of it.
pub(super) fn dashboard() -> Value {
    json!({
        "uid": "farebox",
        "title": "Farebox",
        "description": "A metering proxy for LLM APIs: traffic, latency, tokens, money, and what stands between a call and the books.",
        "tags": ["farebox", "llm"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "timezone": "browser",
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": [datasource_variable(), variable("instance", "farebox_running_calls"), variable("model", "farebox_calls_total")] },
        "panels": panels(),
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn datasource_variable() -> Value {
    json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0, "options": [] })
}

/// Whose series are shown, by the values that a label of this metric has.
fn variable(label: &str, metric: &str) -> Value {
    let query = format!("label_values({metric}, {label})");
    json!({
        "name": label,
        "type": "query",
        "datasource": datasource(),
        "query": { "query": query, "refId": label },
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "options": [],
    })
}

/// Each section under its title, and its panels in lines.
fn panels() -> Vec<Value> {
    let mut placed = Vec::new();
    let mut y = 0;
    for (title, panels) in sections() {
        let (id, place) = (placed.len() + 1, json!({ "x": 0, "y": y, "w": GRID_WIDTH, "h": 1 }));
        placed.push(json!({ "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": [] }));
        y += 1;
        for line in panels.chunks(PANELS_A_LINE) {
            for (column, panel) in line.iter().enumerate() {
                let place = json!({ "x": column * PANEL_WIDTH, "y": y, "w": PANEL_WIDTH, "h": PANEL_HEIGHT });
                placed.push(panel.place(placed.len() + 1, &place));
            }
            y += PANEL_HEIGHT;
        }
    }
    placed
}

impl Panel {
    fn place(&self, id: usize, place: &Value) -> Value {
        let targets: Vec<_> = ('A'..='Z').zip(&self.queries).map(|(name, (expression, legend))| target(name, expression, legend)).collect();
        json!({
            "id": id,
            "type": "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": place,
            "fieldConfig": {
                "defaults": { "unit": self.unit, "min": 0, "custom": { "fillOpacity": 10, "lineWidth": 1, "showPoints": "never" } },
                "overrides": [],
            },
            "options": {
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            },
            "targets": targets,
        })
    }
}

fn target(name: char, expression: &str, legend: &str) -> Value {
    json!({ "refId": name, "datasource": datasource(), "editorMode": "code", "expr": expression, "legendFormat": legend, "range": true })
}
