//! `response.http.headers.config`: headers that are put on every answer of the REST API.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// A header to put on answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    name: HeaderName,
    value: Value,
    /// Beside a header of the same name, not in its place.
    add: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(HeaderValue),
    /// So many milliseconds after the answer.
    Date(i64),
}

/// Reads a comma list of `[set|add|setDate|addDate] Name: value`; an item whose value holds a comma stands in double
/// quotes.
///
/// # Errors
/// The first item that is wrong, in Connect's words.
pub fn rules(text: &str) -> Result<Vec<HeaderRule>, String> {
    items(text).iter().map(|item| rule(item.trim())).collect()
}

/// The items of a comma list in which double quotes may stand around an item.
fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            c => items.last_mut().into_iter().for_each(|item| item.push(c)),
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

fn rule(item: &str) -> Result<HeaderRule, String> {
    let (action, header) = item.split_once(char::is_whitespace).ok_or_else(|| {
        format!("Invalid format of header config '{item}'. Expected: '[action] [header name]:[header value]'")
    })?;
    let (add, date) = match action {
        "set" => (false, false),
        "add" => (true, false),
        "setDate" => (false, true),
        "addDate" => (true, true),
        _ => {
            return Err(format!(
                "Invalid header config action: '{action}'. Expected one of [set, add, setDate, addDate]"
            ));
        }
    };
    let (name, value) = header.split_once(':').ok_or_else(|| {
        format!(
            "Invalid format of header name and header value pair '{}'. Expected: '[header name]:[header value]'",
            header.trim()
        )
    })?;
    let (name, value) = (name.trim(), value.trim());
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("Invalid header name '{name}'. The '[header name]' cannot contain whitespace"))?;
    let value = if date {
        let millis = value.parse().map_err(|_| {
            format!(
                "Invalid value '{value}' of header {name}: {action} needs a number of milliseconds after the answer"
            )
        })?;
        Value::Date(millis)
    } else {
        let text = HeaderValue::from_str(value);
        Value::Text(text.map_err(|_| format!("Invalid value of header {name}: it holds control characters"))?)
    };
    Ok(HeaderRule { name, value, add })
}

/// Puts the headers on an answer. What the answer itself says stays.
pub(crate) fn apply(rules: &[HeaderRule], headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers.keys().cloned().collect();
    for rule in rules {
        let value = match &rule.value {
            Value::Text(text) => text.clone(),
            Value::Date(after) => match date(*after) {
                Some(value) => value,
                None => continue,
            },
        };
        if rule.add {
            headers.append(&rule.name, value);
        } else if !own.contains(&rule.name) {
            headers.insert(&rule.name, value);
        }
    }
}

fn date(after: i64) -> Option<HeaderValue> {
    let at = jiff::Timestamp::now().as_millisecond().checked_add(after)?;
    let at = jiff::Timestamp::from_millisecond(at).ok()?;
    HeaderValue::from_str(&at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_headers_on_answers() {
        let text = r#"set X-Frame-Options: DENY, "add Cache-Control: no-cache, no-store",addDate Expires: 0,setDate X-Date: 1000, set Content-Type: x"#;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("cache-control", HeaderValue::from_static("private"));
        apply(&rules(text).unwrap(), &mut headers);
        let all = |name: &str| -> Vec<&str> { headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect() };
        assert_eq!(all("x-frame-options"), ["DENY"]);
        assert_eq!(all("cache-control"), ["private", "no-cache, no-store"]);
        assert_eq!(all("content-type"), ["application/json"]);
        assert!(all("expires")[0].ends_with(" GMT") && all("x-date").len() == 1);
        assert_eq!(rules(""), Ok(Vec::new()));
    }

    #[test]
    fn refuses_in_connects_words() {
        for (text, part) in [
            ("X: y", "Invalid header config action: 'X:'"),
            ("set", "Expected: '[action] [header name]:[header value]'"),
            ("put X: y", "Invalid header config action: 'put'. Expected one of [set, add, setDate, addDate]"),
            ("set X y", "Invalid format of header name and header value pair 'X y'"),
            ("set X Y: z", "Invalid header name 'X Y'. The '[header name]' cannot contain whitespace"),
            ("setDate X: soon", "milliseconds"),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
