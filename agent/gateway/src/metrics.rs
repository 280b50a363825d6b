//! What Prometheus collects, in its text format 0.0.4. Names with `vllm:` are those of vLLM's own exporter, with its label
//! `model_name`, so that the panels of boards made for it that ask for these show this engine, too.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Upper ends of a histogram's buckets in seconds: vLLM's for the time to the first token, thinned, and some for slow
/// machines.
const BUCKETS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0,
];

/// Models of which answers are measured apart; those of any more are measured together.
const MOST_MODELS: usize = 16;
/// What they are called together.
const OTHERS: &str = "other";

/// What the gateway itself has measured of answers, by the model that gave them.
#[derive(Debug, Default)]
pub(crate) struct Measured(Mutex<BTreeMap<String, Arc<Times>>>);

/// What was measured of one model's answers.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// From a request to the first text of a streamed answer.
    pub(crate) first_token: Histogram,
    /// From a request to the end of its answer.
    pub(crate) whole: Histogram,
}

impl Measured {
    /// A model's.
    pub(crate) fn of(&self, model: &str) -> Arc<Times> {
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_others = models.len() >= MOST_MODELS && !models.contains_key(model);
        let name = if is_others { OTHERS } else { model };
        models.entry(name.to_owned()).or_default().clone()
    }

    /// All that there are, by their names.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Times>)> {
        let models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = models.iter();
        all.map(|(name, times)| (name.clone(), times.clone())).collect()
    }
}

/// Times, by how long they were.
#[derive(Debug, Default)]
pub(crate) struct Histogram(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
struct Counts {
    /// Those within each bucket and above the one before it.
    within: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    /// Counts a time.
    pub(crate) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = BUCKETS.iter().position(|end| seconds <= *end) {
            counts.within[place] += 1;
        }
        counts.count += 1;
        counts.sum += seconds;
    }
}

/// The text that is collected.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

/// What a family of metrics is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows, until what counts is started anew.
    Counter,
}

impl Exposition {
    /// A family with its values by their labels. One without values is left out.
    pub(crate) fn family<'l, L: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.head(name, kind, help);
        for (labels, value) in values {
            self.line(name, labels.as_ref(), value);
        }
    }

    /// A family with one value without labels, if there is one.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.family(name, Kind::Gauge, help, value.map(|value| ([], value)));
    }

    /// A family of histograms by their labels. One without any is left out.
    pub(crate) fn histograms<'h, 'l>(
        &mut self,
        name: &str,
        help: &str,
        histograms: impl IntoIterator<Item = ((&'l str, &'l str), &'h Histogram)>,
    ) {
        let mut histograms = histograms.into_iter().peekable();
        if histograms.peek().is_none() {
            return;
        }
        self.head(name, "histogram", help);
        for (label, histogram) in histograms {
            self.histogram(name, label, histogram);
        }
    }

    fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let counts = histogram.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut sum = 0;
        let bucket = format!("{name}_bucket");
        for (end, within) in BUCKETS.iter().zip(counts.within) {
            sum += within;
            let end = end.to_string();
            self.line(&bucket, &[label, ("le", &end)], sum as f64);
        }
        self.line(&bucket, &[label, ("le", "+Inf")], counts.count as f64);
        self.line(&format!("{name}_sum"), &[label], counts.sum);
        self.line(&format!("{name}_count"), &[label], counts.count as f64);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0
            .push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            self.0.push_str(&format!("{{{}}}", labels.join(",")));
        }
        self.0.push_str(&format!(" {value}\n"));
    }
}

impl fmt::Display for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_read_as_prometheus_wants_them() {
        let mut told = Exposition::default();
        told.gauge("hearth_a", "A.", Some(1.5));
        told.gauge("hearth_b", "Not measured.", None);
        let labels = [("sensor", "a \"b\"\n\\")];
        told.family("hearth_c_total", Kind::Counter, "C.", [(labels, 3.0)]);
        assert_eq!(
            told.to_string(),
            "# HELP hearth_a A.\n# TYPE hearth_a gauge\nhearth_a 1.5\n\
             # HELP hearth_c_total C.\n# TYPE hearth_c_total counter\n\
             hearth_c_total{sensor=\"a \\\"b\\\"\\n\\\\\"} 3\n"
        );
    }

    #[test]
    fn buckets_hold_all_up_to_their_end() {
        let histogram = Histogram::default();
        for ms in [10, 100, 101, 1_000_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut told = Exposition::default();
        told.histograms("none", "None.", []);
        told.histograms("h", "H.", [(("m", "x"), &histogram)]);
        let told = told.to_string();
        assert!(told.starts_with("# HELP h H.\n# TYPE h histogram\n"), "{told}");
        for line in [
            "h_bucket{m=\"x\",le=\"0.05\"} 1\n",
            "h_bucket{m=\"x\",le=\"0.1\"} 2\n",
            "h_bucket{m=\"x\",le=\"0.25\"} 3\n",
            "h_bucket{m=\"x\",le=\"160\"} 3\n",
            "h_bucket{m=\"x\",le=\"+Inf\"} 4\n",
            "h_count{m=\"x\"} 4\n",
        ] {
            assert!(told.contains(line), "{line} in {told}");
        }
    }

    #[test]
    fn models_are_measured_apart_up_to_a_bound() {
        let measured = Measured::default();
        for n in 0..2 * MOST_MODELS {
            measured
                .of(&format!("m{n}"))
                .whole
                .observe(Duration::from_secs(1));
        }
        measured.of("m0").whole.observe(Duration::from_secs(1));
        let counts: BTreeMap<_, _> = measured
            .all()
            .into_iter()
            .map(|(name, times)| (name, times.whole.0.lock().unwrap().count))
            .collect();
        assert_eq!(counts.len(), MOST_MODELS + 1);
        assert_eq!((counts["m0"], counts[OTHERS]), (2, MOST_MODELS as u64));
    }
}
