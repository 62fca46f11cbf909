//! What `status` says of any pipeline: its process, asked over HTTP, and the lag of its groups, asked from Kafka.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::Value;

use super::{
    Error, kafka,
    output::{Out, say},
};

/// Says how the instance that listens at `listen` is. `counts` are members of its status with the words for them.
///
/// # Errors
/// Only those of printing: a process that does not answer is an answer.
pub async fn instance(name: &str, listen: &str, counts: &[(&str, &str)], out: Out<'_>) -> Result<(), Error> {
    if listen.is_empty() {
        return say(out, format_args!("instance {name}: has no HTTP port to ask"));
    }
    let Some(body) = ask(listen).await else {
        return say(out, format_args!("instance {name}: not running (nothing answers on {listen})"));
    };
    let number = |name: &str| body.get(name).and_then(Value::as_i64).unwrap_or(0);
    let ready = body.get("ready").and_then(Value::as_bool).unwrap_or(false);
    let counts: String = counts.iter().map(|(member, words)| format!(", {} {words}", number(member))).collect();
    let (state, lag, seconds) = (if ready { "caught up" } else { "catching up" }, number("lag"), number("uptime_s"));
    say(out, format_args!("instance {name}: running for {seconds} s, {state}, lag {lag}{counts}"))?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    for (worker, state) in body.get("workers").and_then(Value::as_object).into_iter().flatten() {
        say(out, format_args!("  {worker}: {}", text(state, "doing")))?;
    }
    if let Some(error) = body.get("last_error").filter(|error| !error.is_null()) {
        say(out, format_args!("  last error, {}: {}", text(error, "at"), text(error, "message")))?;
    }
    Ok(())
}

async fn ask(listen: &str) -> Option<Value> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build().ok()?;
    client.get(format!("http://{listen}/api/status")).send().await.ok()?.json().await.ok()
}

/// A group's members and its lag, in all and by partition, a line each.
///
/// # Errors
/// [`Error::Kafka`] when the broker does not answer or refuses.
pub fn group_lag(client: &ClientConfig, topic: &str, group: &str) -> Result<Vec<String>, Error> {
    let consumer: BaseConsumer = client
        .clone()
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .create()?;
    let ends = kafka::ends(&consumer, topic)?;
    let groups = consumer.fetch_group_list(Some(group), kafka::ANSWER_WITHIN)?;
    let members: usize = groups.groups().iter().map(|g| g.members().len()).sum();
    let mut lines = Vec::new();
    let mut total = 0_i64;
    for (partition, (low, end)) in &ends {
        let committed = kafka::committed(&consumer, topic, *partition)?;
        let lag = (end - committed.unwrap_or(*low)).max(0);
        total = total.saturating_add(lag);
        let at = committed.map_or_else(|| "nothing yet".to_owned(), |offset| offset.to_string());
        lines.push(format!("  {topic}/{partition}: committed {at} of {end}, lag {lag}"));
    }
    let head = if ends.is_empty() {
        format!("group {group}: topic {topic} does not exist yet (its connector creates it)")
    } else {
        format!("group {group}: {members} members, lag {total}")
    };
    lines.insert(0, head);
    Ok(lines)
}
