//! Transcripts of a real Kafka Connect 4.3.0 with Debezium 3.6.1 (`connectors-compat/rest/*.http`), asked again of ours.
//!
//! What may differ is listed in `connectors-compat/rest/README.md`; each case is a rule here.

use std::path::Path;

use serde_json::Value;

use super::{Harness, Reply, harness};

struct Exchange {
    request: Vec<String>,
    request_body: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

enum Part {
    Exchange(Exchange),
    Wait { name: String, states: Vec<String> },
}

fn parse(text: &str) -> Vec<Part> {
    let parts = text.split("===\n").map(|part| {
        if let Some(wait) = part.strip_prefix("WAIT ") {
            let mut words = wait.split_whitespace().map(str::to_owned);
            return Part::Wait { name: words.next().unwrap(), states: words.collect() };
        }
        let (request, answer) = part.split_once("\n---\n").unwrap_or_else(|| panic!("not recorded: {part}"));
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let (answer, answer_body) = answer.split_once("\n\n").unwrap();
        let mut lines = answer.lines();
        Part::Exchange(Exchange {
            request: head.lines().map(str::to_owned).collect(),
            request_body: body.trim_end().to_owned(),
            status: lines.next().unwrap().parse().unwrap(),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: answer_body.trim_end().to_owned(),
        })
    });
    parts.collect()
}

/// Rule: every worker has its own id, and lists the connectors that it has.
fn normal(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(id) = map.get_mut("worker_id") {
                *id = Value::from("WORKER");
            }
            if let Some(Value::String(message)) = map.get_mut("message")
                && let Some(end) = message.find("available connectors are: ")
            {
                message.truncate(end);
                // Rule: Java's text has its exception's class in front or not, from one time to the next.
                if let Some(bare) = message.strip_prefix("org.apache.kafka.connect.errors.ConnectException: ") {
                    *message = bare.to_owned();
                }
            }
            if let Some(modified) = map.get_mut("last_modified") {
                *modified = Value::Null;
            }
            map.values_mut().for_each(normal);
        }
        Value::Array(items) => items.iter_mut().for_each(normal),
        _ => {}
    }
}

/// Rule: what cannot be read is the client's mistake. Java answers 500 with its parser's text.
fn is_unreadable(exchange: &Exchange) -> bool {
    let parser = [
        "Unexpected",
        "Cannot deserialize",
        "Cannot invoke",
        "Unrecognized field",
        "Cannot construct",
        "No enum constant",
    ];
    exchange.status == 500 && parser.iter().any(|text| exchange.body.contains(&format!("\"message\":\"{text}")))
}

const BAD_REQUEST: &str = "org.apache.kafka.connect.runtime.rest.errors.BadRequestException: ";

fn compare(exchange: &Exchange, reply: &Reply) {
    let first = format!("{} {}", exchange.request[0], exchange.request_body);
    if is_unreadable(exchange) {
        assert_eq!(reply.status, 400, "{first}: {}", reply.text);
        assert_eq!(reply.json()["error_code"], 400);
        return;
    }
    let mut expected = exchange.body.clone();
    let mut status = exchange.status;
    if status == 500 && expected.contains(BAD_REQUEST) {
        // Rule: a configuration without a usable class is the client's mistake in validate as in create.
        expected = expected.replace(BAD_REQUEST, "").replace("\"error_code\":500", "\"error_code\":400");
        status = 400;
    }
    assert_eq!(reply.status, status, "{first}: {}", reply.text);
    for (name, value) in &exchange.headers {
        let ours = reply.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(ours, Some(value.as_str()), "{first}: {name}");
    }
    match (serde_json::from_str::<Value>(&expected), serde_json::from_str::<Value>(&reply.text)) {
        (Ok(mut expected), Ok(mut ours)) => {
            normal(&mut expected);
            normal(&mut ours);
            if expected.get("error_count").is_some() {
                compare_validation(&first, &expected, &ours);
            } else {
                assert_eq!(ours, expected, "{first}");
            }
        }
        _ => assert_eq!(reply.text, expected, "{first}"),
    }
}

/// The framework's keys, converter keys and overrides of a validation; the plugin's own are its crate's to compare.
fn compare_validation(first: &str, expected: &Value, ours: &Value) {
    assert_eq!(ours["name"], expected["name"], "{first}");
    let groups = |infos: &Value| infos["groups"].as_array().unwrap()[..7].to_vec();
    assert_eq!(groups(ours), groups(expected), "{first}");
    let all = |infos: &Value| infos["configs"].as_array().unwrap().clone();
    let name = |config: &Value| config["value"]["name"].as_str().unwrap_or_default().to_owned();
    // Rule: Java's error count is that of its texts; ours likewise.
    let texts: usize = all(ours).iter().map(|config| config["value"]["errors"].as_array().unwrap().len()).sum();
    assert_eq!(ours["error_count"], texts, "{first}");
    let framework = all(expected).iter().take(24).map(name).collect::<Vec<_>>();
    assert_eq!(all(ours).iter().take(24).map(name).collect::<Vec<_>>(), framework, "{first}: order");
    let belongs = |config: &Value| {
        let name = name(config);
        framework.contains(&name) || name.contains(".converter.") || name.contains(".override.")
    };
    let pick = |infos: &Value| -> Vec<Value> {
        let mut found: Vec<_> = all(infos).into_iter().filter(belongs).collect();
        for config in &mut found {
            if let Some(definition) = config["definition"].as_object_mut() {
                // Rules: our own words; both names of the order.
                definition.remove("documentation");
                let order = definition.remove("order");
                assert!(order.is_none() || order.as_ref() == definition.get("order_in_group"));
            }
            if name(config).ends_with("converter") {
                // Rule: only converters that run here are offered.
                config["value"]["recommended_values"].take();
            }
        }
        found.sort_by_key(name);
        found
    };
    let (ours, expected) = (pick(ours), pick(expected));
    assert_eq!(ours.len(), expected.len(), "{first}");
    for (ours, expected) in ours.iter().zip(&expected) {
        assert_eq!(ours, expected, "{first}");
    }
}

async fn replay(h: &Harness, file: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors-compat/rest");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let parts = parse(&text);
    for part in &parts {
        let exchange = match part {
            Part::Exchange(exchange) => exchange,
            Part::Wait { name, states } => {
                h.wait(name, (&states[0], states.get(1).map(String::as_str))).await;
                continue;
            }
        };
        let (method, path) = exchange.request[0].split_once(' ').unwrap();
        let headers: Vec<_> = exchange.request[1..].iter().map(|line| line.split_once(": ").unwrap()).collect();
        let reply = h.send(method, path, &headers, &exchange.request_body).await;
        compare(exchange, &reply);
    }
    parts.len()
}

#[tokio::test]
async fn errors() {
    assert!(replay(&harness().await, "errors.http").await >= 35);
}

#[tokio::test]
async fn options() {
    assert!(replay(&harness().await, "options.http").await >= 20);
}

#[tokio::test]
async fn refused_creations() {
    assert!(replay(&harness().await, "create.http").await >= 12);
}

#[tokio::test]
async fn validations() {
    assert!(replay(&harness().await, "validate.http").await >= 4);
}

#[tokio::test]
async fn a_life() {
    assert!(replay(&harness().await, "lifecycle.http").await >= 30);
}
