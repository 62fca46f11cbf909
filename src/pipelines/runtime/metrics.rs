//! Prometheus text from plain numbers: pipelines keep atomics and write them out when asked.

use std::fmt::{Display, Write};

/// A page of metrics being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// One metric with its values by label pairs. `kind` is `counter` or `gauge`.
    pub fn metric<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, String)>, V)>,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            self.text.push_str(name);
            for (index, (label, text)) in labels.iter().enumerate() {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(self.text, "{}{label}=\"{text}\"", if index == 0 { '{' } else { ',' });
            }
            let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
        }
    }

    /// The finished page.
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted() {
        let mut page = Page::default();
        page.metric("a_total", "counter", "Things.", [(vec![("topic", "x\"y".to_owned()), ("n", "1".into())], 3)]);
        page.metric("b", "gauge", "Level.", [(vec![], 1.5)]);
        assert_eq!(
            page.finish(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total{topic=\"x\\\"y\",n=\"1\"} 3\n# HELP b Level.\n# TYPE b gauge\nb 1.5\n"
        );
    }
}
