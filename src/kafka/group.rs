//! Membership in the worker's group, for one purpose: that no two workers write the same topics.
//!
//! We join `group.id` as a plain consumer. A Java worker started later is refused by the broker
//! (`INCONSISTENT_GROUP_PROTOCOL`); one that is there already, or another daemon of ours, is seen in the list
//! of members and refuses us. The member's instance id is the caller's to keep: with the same id a restarted
//! process takes over the place of its own ghost at once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use engine::error::{Failure, TaskError};
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::watch;

use crate::{
    client::{JavaSettings, Meaning, log_line, meaning, worker_client},
    cluster::{Refusal, creation_failed},
    settings::{Problem, Role, Settings},
    topics::blocking,
};

/// How long a stop waits for the broker to hear of it.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// Who wants to be the only member.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// `group.id`.
    pub group: String,
    /// Kept across restarts, unique to the state folder.
    pub instance: String,
    /// A topic to subscribe to, as a consumer must; nothing is read from it.
    pub topic: String,
    /// `session.timeout.ms`: how long a member that is gone keeps its place.
    pub session_timeout: Duration,
    client: Settings,
}

impl MemberSettings {
    /// From the worker's settings; the broker sees `client_id` (`connect-<worker id>`).
    ///
    /// # Errors
    /// Worker settings that cannot be used.
    pub fn of_worker(
        worker: &JavaSettings,
        client_id: &str,
        instance: &str,
        topic: &str,
    ) -> Result<Self, Vec<Problem>> {
        let group = worker.get("group.id").map(|g| g.trim().to_owned()).unwrap_or_default();
        let session = worker.get("session.timeout.ms").map_or("10000", |v| v.trim());
        let heartbeat = worker.get("heartbeat.interval.ms").map_or("3000", |v| v.trim());
        let fixed = [
            ("group.id", group.as_str()),
            ("group.instance.id", instance),
            ("group.protocol", "classic"),
            ("session.timeout.ms", session),
            ("heartbeat.interval.ms", heartbeat),
        ];
        let mut client = worker_client(Role::Consumer, worker, client_id, &fixed)?;
        client.bound_fetch(64 << 10);
        let session_timeout = Duration::from_millis(session.parse().unwrap_or(10_000));
        Ok(Self { group, instance: instance.to_owned(), topic: topic.to_owned(), session_timeout, client })
    }
}

/// Notes what the broker says about our membership. Assigned partitions are never read.
#[derive(Default)]
struct Watcher {
    joined: AtomicBool,
    evicted: AtomicBool,
}

impl ClientContext for Watcher {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka::client", %error, reason, "group member error");
    }
}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) && consumer.assignment_lost() {
            self.evicted.store(true, Ordering::Release);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            // Membership is all we want: fetching stays off.
            if let Err(error) = consumer.pause(partitions) {
                tracing::debug!(%error, "the member's partitions are not paused");
            }
            self.joined.store(true, Ordering::Release);
        }
    }
}

/// Our place in the group. Dropping it leaves the group, so that another worker, a Java one included, can have it at
/// once; a process that dies keeps its place until the session timeout, and a restart with the same id finds it.
pub struct Membership {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    lost: watch::Receiver<Option<String>>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("lost", &*self.lost.borrow()).finish_non_exhaustive()
    }
}

impl Membership {
    /// Joins as the only member. Another member is given its session timeout to vanish.
    ///
    /// # Errors
    /// Definite: the group is in use, or there is no right to it. Transient: no broker answered.
    pub async fn join(settings: MemberSettings) -> Result<Self, TaskError> {
        blocking(move || Self::join_now(&settings)).await
    }

    fn join_now(settings: &MemberSettings) -> Result<Self, TaskError> {
        let consumer: BaseConsumer<Watcher> =
            settings.client.client(Watcher::default()).map_err(|e| creation_failed(&e))?;
        let group = Group { settings, consumer: &consumer };
        // A member that died is dropped by the broker after its session timeout, with a little time to notice.
        let end = Instant::now() + settings.session_timeout + Duration::from_secs(3);
        let reachable = Instant::now() + crate::topics::CALL_LIMIT;
        loop {
            match group.others() {
                Ok(others) if others.is_empty() => break,
                Ok(others) if Instant::now() >= end => return Err(group.in_use(&others)),
                Ok(_) => {}
                Err(refusal) if refusal.meaning() != Meaning::Retriable || Instant::now() >= reachable => {
                    return Err(group.not_asked(refusal));
                }
                Err(_) => {}
            }
            serve(&consumer)?;
            std::thread::park_timeout(Duration::from_millis(300));
        }
        consumer.subscribe(&[&settings.topic]).map_err(|e| group.not_asked(Refusal::of(&e)))?;
        let end = Instant::now() + crate::topics::CALL_LIMIT;
        while !consumer.context().joined.load(Ordering::Acquire) {
            if let Some(Err(error)) = consumer.poll(Duration::from_millis(100)) {
                group.judge(&error)?;
            }
            if Instant::now() >= end {
                // A member without partitions is assigned nothing: the other one has them.
                let others = group.others().map_err(|refusal| group.not_asked(refusal))?;
                return Err(if others.is_empty() {
                    TaskError::transient(format!("The group '{}' could not be joined within 60 s", settings.group))
                } else {
                    group.in_use(&others)
                });
            }
        }
        // Two that joined at once see each other now; the one whose instance id is less stays.
        let others = group.others().map_err(|refusal| group.not_asked(refusal))?;
        if others.iter().any(|other| other.id.as_str() < settings.instance.as_str()) {
            return Err(group.in_use(&others));
        }
        Self::start(settings.clone(), consumer)
    }

    fn start(settings: MemberSettings, consumer: BaseConsumer<Watcher>) -> Result<Self, TaskError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, lost) = watch::channel(None);
        let thread = {
            let stop = stop.clone();
            std::thread::Builder::new()
                .name("kafka-group".into())
                .spawn(move || stay(&settings, &consumer, &stop, &tell))
                .map_err(|e| {
                    TaskError::transient(format!("no thread for the group membership could be started: {e}"))
                })?
        };
        Ok(Self { stop, thread: Some(thread), lost })
    }

    /// Turns from `None` to the reason when another process has taken the place: this one must stop writing.
    pub fn lost(&self) -> watch::Receiver<Option<String>> {
        self.lost.clone()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

/// Keeps the membership alive.
fn stay(
    settings: &MemberSettings,
    consumer: &BaseConsumer<Watcher>,
    stop: &AtomicBool,
    lost: &watch::Sender<Option<String>>,
) {
    let group = Group { settings, consumer };
    while !stop.load(Ordering::Relaxed) {
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(200)) {
            match group.judge(&error) {
                Err(error) => {
                    lost.send_replace(Some(error.to_string()));
                    return;
                }
                Ok(()) => tracing::debug!(%error, "group membership is interrupted"),
            }
        }
        // Our session had ended: somebody may have found the group empty and begun to write.
        if consumer.context().evicted.load(Ordering::Acquire) && consumer.context().joined.load(Ordering::Acquire) {
            match group.others() {
                Ok(others) if others.is_empty() => consumer.context().evicted.store(false, Ordering::Release),
                Ok(others) => {
                    lost.send_replace(Some(group.in_use(&others).to_string()));
                    return;
                }
                Err(_) => {}
            }
        }
    }
    group.leave();
}

/// Serves log lines and errors that have come in.
fn serve(consumer: &BaseConsumer<Watcher>) -> Result<(), TaskError> {
    while let Some(answer) = consumer.poll(Duration::ZERO) {
        if let Err(KafkaError::MessageConsumptionFatal(code)) = answer {
            return Err(TaskError::definite(format!("Kafka ended the group membership: {code}")));
        }
    }
    Ok(())
}

struct Other {
    id: String,
    client: String,
    host: String,
}

struct Group<'a> {
    settings: &'a MemberSettings,
    consumer: &'a BaseConsumer<Watcher>,
}

impl Group<'_> {
    /// Members that are not us.
    fn others(&self) -> Result<Vec<Other>, Refusal> {
        let (_, others) = self.members(Duration::from_secs(5))?;
        Ok(others)
    }

    /// Whether we are a member, and all others. Kafka names a member with an instance id `<instance id>-<uuid>`.
    fn members(&self, timeout: Duration) -> Result<(bool, Vec<Other>), Refusal> {
        let list = self
            .consumer
            .client()
            .fetch_group_list(Some(&self.settings.group), timeout)
            .map_err(|e| Refusal::of(&e))?;
        let own = format!("{}-", self.settings.instance);
        let members = list.groups().iter().filter(|g| g.name() == self.settings.group).flat_map(|g| g.members());
        let (ours, others): (Vec<_>, Vec<_>) = members.partition(|member| member.id().starts_with(&own));
        let others = others.into_iter().map(|member| Other {
            id: member.id().to_owned(),
            client: member.client_id().to_owned(),
            host: member.client_host().trim_start_matches('/').to_owned(),
        });
        Ok((!ours.is_empty(), others.collect()))
    }

    /// Gives up our place. Closing the consumer would not: of a member with an instance id it says nothing to the
    /// broker, which refuses a Java worker until the session has timed out.
    fn leave(&self) {
        self.consumer.unsubscribe();
        let end = Instant::now() + LEAVE_LIMIT;
        while Instant::now() < end {
            if let Some(Err(error)) = self.consumer.poll(Duration::from_millis(50)) {
                tracing::debug!(%error, "while leaving the group");
            }
            if matches!(self.members(Duration::from_secs(1)), Ok((false, _))) {
                return;
            }
        }
        tracing::info!(
            group = self.settings.group,
            "the group could not be left; its place is free after session.timeout.ms"
        );
    }

    fn in_use(&self, others: &[Other]) -> TaskError {
        let who: Vec<String> = others.iter().map(|o| format!("{} at {}", o.client, o.host)).collect();
        self.in_use_by(&who.join(", "))
    }

    fn in_use_by(&self, who: &str) -> TaskError {
        TaskError::definite(format!(
            "The group '{}' is in use by another Connect worker ({who}). Stop it before this one is started, or give this \
             one another group.id and topics of its own",
            self.settings.group
        ))
    }

    fn not_asked(&self, refusal: Refusal) -> TaskError {
        let advice = match refusal.meaning() {
            Meaning::Authorization => ". Give the worker's user READ and DESCRIBE on the group",
            _ => "",
        };
        refusal.into_error(format!("The members of group '{}' are not known{advice}", self.settings.group))
    }

    /// Whether an error ends the membership.
    fn judge(&self, error: &KafkaError) -> Result<(), TaskError> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        if code == RDKafkaErrorCode::InconsistentGroupProtocol {
            return Err(self.in_use_by("one of Kafka's own, whose group protocol differs"));
        }
        match (meaning(code), error) {
            (Meaning::Fenced, _) => Err(self.in_use_by("one with a copy of this state folder")),
            (Meaning::Authorization, _) => Err(self.not_asked(Refusal::of(error))),
            (_, KafkaError::MessageConsumptionFatal(_)) => {
                let failure = Failure::new(format!("The membership in group '{}' has ended", self.settings.group));
                Err(TaskError::Definite(failure.caused_by(error)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_static_and_keeps_the_workers_timeouts() {
        let worker: JavaSettings = [
            ("bootstrap.servers", "b:1"),
            ("group.id", "g"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "2000"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        let member = MemberSettings::of_worker(&worker, "connect-h:8083", "afterimage-1", "t")
            .unwrap_or_else(|p| panic!("{p:?}"));
        assert_eq!((member.group.as_str(), member.session_timeout), ("g", Duration::from_secs(6)));
        for (key, value) in
            [("group.instance.id", "afterimage-1"), ("session.timeout.ms", "6000"), ("client.id", "connect-h:8083")]
        {
            assert_eq!(member.client.get(key), Some(value), "{key}");
        }
    }
}
