//! Widgets as CloudWatch takes them: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Dashboard-Body-Structure.html>.

use serde_json::{Map, Value as Json, json};

/// Columns of a dashboard.
const COLUMNS: usize = 24;
const GRAPH_ROWS: usize = 6;

/// A part of a dashboard.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Widget {
    width: usize,
    height: usize,
    shows: Shows,
}

#[derive(Clone, Debug, PartialEq)]
enum Shows {
    Text(String),
    Graph { title: String, lines: Vec<Line>, axes: Map<String, Json> },
    Log { title: String, query: String },
}

/// A line of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// A metric.
    Metric {
        /// Its namespace, name and dimensions, as CloudWatch lists them.
        path: Vec<String>,
        /// How the values of a period are put together.
        statistic: String,
        /// How it is drawn: label, axis, id, whether it is hidden.
        drawn: Map<String, Json>,
    },
    /// What is computed of others, by their ids.
    Computed {
        /// The expression.
        expression: String,
        /// How it is drawn.
        drawn: Map<String, Json>,
    },
}

impl Line {
    /// A metric with a label.
    pub(super) fn metric(path: &[&str], statistic: &str, label: &str) -> Line {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Line::Metric { path, statistic: statistic.to_owned(), drawn: Map::new() }.with("label", json!(label))
    }

    /// What is computed, with a label.
    pub(super) fn computed(expression: String, label: &str) -> Line {
        Line::Computed { expression, drawn: Map::new() }.with("label", json!(label))
    }

    /// The same on the axis at the right.
    pub(super) fn right(self) -> Line {
        self.with("yAxis", json!("right"))
    }

    /// The same with an id that expressions may use.
    pub(super) fn id(self, id: &str) -> Line {
        self.with("id", json!(id))
    }

    /// The same, only there to be computed with.
    pub(super) fn hidden(self) -> Line {
        self.with("visible", json!(false))
    }

    fn with(mut self, key: &str, value: Json) -> Line {
        let (Line::Metric { drawn, .. } | Line::Computed { drawn, .. }) = &mut self;
        drawn.insert(key.to_owned(), value);
        self
    }

    fn body(&self) -> Json {
        match self {
            Line::Metric { path, statistic, drawn } => {
                let mut drawn = drawn.clone();
                drawn.insert("stat".to_owned(), json!(statistic));
                path.iter().map(|part| json!(part)).chain([Json::Object(drawn)]).collect()
            }
            Line::Computed { expression, drawn } => {
                let mut drawn = drawn.clone();
                drawn.insert("expression".to_owned(), json!(expression));
                json!([drawn])
            }
        }
    }
}

impl Widget {
    /// A text over the whole width.
    pub(super) fn text(markdown: String, height: usize) -> Widget {
        Widget { width: COLUMNS, height, shows: Shows::Text(markdown) }
    }

    /// A graph that takes so many columns.
    pub(super) fn graph(title: impl Into<String>, width: usize, lines: Vec<Line>) -> Widget {
        let shows = Shows::Graph { title: title.into(), lines, axes: Map::new() };
        Widget { width, height: GRAPH_ROWS, shows }
    }

    /// The same with bounds of the axis at the left.
    pub(super) fn bounded(mut self, min: f64, max: Option<f64>) -> Widget {
        if let Shows::Graph { axes, .. } = &mut self.shows {
            let left = max.map_or_else(|| json!({"min": min}), |max| json!({"min": min, "max": max}));
            axes.insert("left".to_owned(), left);
        }
        self
    }

    /// The answer to a question to the log, as a table.
    pub(super) fn log(title: impl Into<String>, width: usize, query: String) -> Widget {
        Widget { width, height: GRAPH_ROWS, shows: Shows::Log { title: title.into(), query } }
    }

    /// How many metrics it draws.
    pub(super) fn metrics(&self) -> usize {
        match &self.shows {
            Shows::Graph { lines, .. } => lines.len(),
            Shows::Text(_) | Shows::Log { .. } => 0,
        }
    }

    fn properties(&self, region: &str, period_s: u64) -> (&'static str, Json) {
        match &self.shows {
            Shows::Text(markdown) => ("text", json!({"markdown": markdown})),
            Shows::Log { title, query } => {
                ("log", json!({"title": title, "region": region, "query": query, "view": "table"}))
            }
            Shows::Graph { title, lines, axes } => {
                let metrics: Vec<Json> = lines.iter().map(Line::body).collect();
                let properties = json!({
                    "title": title, "region": region, "period": period_s, "metrics": metrics, "yAxis": axes,
                });
                ("metric", properties)
            }
        }
    }
}

/// Widgets side by side as long as they fit, then in the next row.
pub(super) fn laid_out(widgets: &[Widget], region: &str, period_s: u64) -> Vec<Json> {
    let (mut x, mut y, mut row_height) = (0, 0, 0);
    let mut place = |widget: &Widget| {
        if COLUMNS < x + widget.width {
            (x, y, row_height) = (0, y + row_height, 0);
        }
        let at = (x, y);
        x += widget.width;
        row_height = row_height.max(widget.height);
        at
    };
    let body = |widget: &Widget| {
        let ((x, y), (kind, properties)) = (place(widget), widget.properties(region, period_s));
        json!({
            "type": kind, "x": x, "y": y, "width": widget.width, "height": widget.height, "properties": properties,
        })
    };
    widgets.iter().map(body).collect()
}
