//! Prometheus text: families of samples, each announced once.

use std::{collections::BTreeMap, fmt::Write as _};

/// What a family counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Samples by family, in the order of names.
#[derive(Debug, Default)]
pub(super) struct Families {
    families: BTreeMap<String, (Kind, String)>,
}

impl Families {
    /// Adds a sample.
    pub(super) fn add(&mut self, kind: Kind, name: &str, labels: &[(&str, &str)], value: impl Into<f64>) {
        let value: f64 = value.into();
        let (_, samples) = self.families.entry(name.to_owned()).or_insert_with(|| (kind, String::new()));
        samples.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(samples, "{}{label}=\"{text}\"", if i == 0 { "{" } else { "," });
        }
        if !labels.is_empty() {
            samples.push('}');
        }
        if value.is_nan() {
            samples.push_str(" NaN\n");
        } else {
            let _ = writeln!(samples, " {value}");
        }
    }

    /// The page.
    pub(super) fn text(&self) -> String {
        let mut page = String::new();
        for (name, (kind, samples)) in &self.families {
            let word = if *kind == Kind::Counter { "counter" } else { "gauge" };
            let _ = write!(page, "# TYPE {name} {word}\n{samples}");
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_prometheus_text() {
        let mut families = Families::default();
        families.add(Kind::Gauge, "b", &[("c", "x\"y\\z"), ("d", "e")], 1.5);
        families.add(Kind::Counter, "a_total", &[], 12_345_678_901.0);
        families.add(Kind::Gauge, "b", &[], f64::NAN);
        assert_eq!(
            families.text(),
            "# TYPE a_total counter\na_total 12345678901\n# TYPE b gauge\nb{c=\"x\\\"y\\\\z\",d=\"e\"} 1.5\nb NaN\n"
        );
    }
}
