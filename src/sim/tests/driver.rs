//! The executor of the simulation against the engine's driver: the same scripts, the same calls in the same order.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine::{
    batch::Ack,
    budget::Budget,
    core::Boundary,
    driver,
    error::{Failure, TaskError},
    plugin::{Control, TaskContext},
    port::{
        CheckpointStore, CommitError, OffsetRecord, OffsetTopic, Place as At, SavedCheckpoint, SchemaHistory,
        SchemaHistoryOpener, Sink, StoredOffset, Transactions,
    },
    sender::BatchSender,
    source::{Source, StartPlan},
};
use futures_util::future::BoxFuture;
use model::OffsetMap;
use record::{DynamicRecord, RecordBuffer, RecordSettings};
use tokio::sync::watch;

use crate::{
    client::FENCED,
    database::Place,
    world::{Script, rehearse},
};

#[derive(Default)]
struct State {
    calls: Vec<&'static str>,
    offsets: Vec<OffsetMap>,
    saved: Option<SavedCheckpoint>,
    commits: usize,
    produced: usize,
}

/// Everything outside of the driver.
#[derive(Clone)]
struct Outside {
    state: Arc<Mutex<State>>,
    script: Script,
}

impl Outside {
    fn call(&self, call: Option<&'static str>, act: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.extend(call);
        act(&mut state);
    }

    fn calls(&self) -> Vec<&'static str> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    /// Waits until batch `n`, counted from one, is through.
    async fn through(&self, n: usize) {
        let last = if self.script == Script::AtLeastOnce { 2 * n } else { n };
        while self.calls().iter().filter(|call| **call == "save").count() < last {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Longer than the shortest time between two stores.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

impl Sink for Outside {
    fn produce(&mut self, _: &RecordBuffer, ack: Ack) -> Result<(), TaskError> {
        let mut number = 0;
        self.call(Some("produce"), |state| {
            state.produced += 1;
            number = state.produced;
        });
        if self.script == Script::Fenced && number == 3 {
            let error = TaskError::definite(FENCED);
            ack.failed(error.clone());
            return Err(error);
        }
        ack.delivered();
        Ok(())
    }

    fn flush(&mut self, _: Duration) {}

    fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        Some(self)
    }
}

impl Transactions for Outside {
    fn take_over(&mut self) -> Result<(), TaskError> {
        self.call(Some("take over"), |_| {});
        Ok(())
    }

    fn renew(&mut self) -> Result<(), TaskError> {
        self.call(Some("renew"), |_| {});
        Ok(())
    }

    fn commit(&mut self, record: &OffsetRecord) -> Result<At, CommitError> {
        let mut result = Ok((0, 0));
        self.call(Some("commit"), |state| {
            state.commits += 1;
            state.offsets.push(record.offset.clone());
            result = Ok((0, state.offsets.len() as i64 - 1));
            if self.script == Script::Unknown && state.commits == 1 {
                result = Err(CommitError::Unknown(Failure::new("no answer")));
            }
        });
        result
    }

    fn abort(&mut self) {
        self.call(Some("abort"), |_| {});
    }
}

impl OffsetTopic for Outside {
    fn read<'a>(&'a self, _: &'a str, _: &'a OffsetMap) -> BoxFuture<'a, Result<Option<StoredOffset>, TaskError>> {
        let mut newest = None;
        self.call(Some("read"), |state| {
            let at = (0, state.offsets.len() as i64 - 1);
            newest = state.offsets.last().map(|offset| StoredOffset { offset: Some(offset.clone()), at });
        });
        Box::pin(async { Ok(newest) })
    }

    fn write<'a>(
        &'a self,
        _: &'a str,
        _: &'a OffsetMap,
        offset: Option<&'a OffsetMap>,
    ) -> BoxFuture<'a, Result<At, TaskError>> {
        let mut at = (0, 0);
        self.call(Some("publish"), |state| {
            state.offsets.extend(offset.cloned());
            at = (0, state.offsets.len() as i64 - 1);
        });
        Box::pin(async move { Ok(at) })
    }
}

impl CheckpointStore for Outside {
    fn load(&self, _: &str, _: &OffsetMap) -> Result<Option<SavedCheckpoint>, TaskError> {
        let mut saved = None;
        self.call(None, |state| saved = state.saved.clone());
        Ok(saved)
    }

    fn save(&self, _: &str, _: &OffsetMap, checkpoint: &SavedCheckpoint) -> Result<(), TaskError> {
        self.call(Some("save"), |state| state.saved = Some(checkpoint.clone()));
        Ok(())
    }

    fn remove(&self, _: &str, _: &OffsetMap) -> Result<(), TaskError> {
        Ok(())
    }
}

impl SchemaHistoryOpener for Outside {
    fn open(&self, _: &str, _: &BTreeMap<String, String>) -> Result<Arc<dyn SchemaHistory>, TaskError> {
        Err(TaskError::definite("there is no history here"))
    }
}

/// Sends three batches of one record, each when the one before is through.
struct Steps(Outside);

impl Source for Steps {
    type Position = Place;

    async fn prepare(&mut self, _: Option<Place>) -> Result<StartPlan<Place>, TaskError> {
        Ok(StartPlan::Stream(Place { pos: 0, snapshot: None }))
    }

    async fn snapshot(&mut self, _: &mut BatchSender<Place>) -> Result<Place, TaskError> {
        Err(TaskError::definite("there is no snapshot here"))
    }

    async fn stream(&mut self, _: Place, out: &mut BatchSender<Place>) -> Result<(), TaskError> {
        for n in 1..=3 {
            out.push_dynamic(DynamicRecord {
                topic: "t".into(),
                partition: None,
                key: None,
                value: None,
                context_headers: false,
            });
            out.dispatch(Place { pos: n, snapshot: None }).await?;
            if self.0.script == Script::Fenced && n == 3 {
                break;
            }
            self.0.through(n as usize).await;
        }
        loop {
            out.ready().await?;
            out.changed().await;
        }
    }
}

async fn drive(script: Script) -> Vec<&'static str> {
    let outside = Outside { state: Arc::default(), script };
    let (control_to, control) = watch::channel(Control::Run);
    let task = TaskContext {
        connector: "c".into(),
        config: BTreeMap::new(),
        records: RecordSettings::default(),
        sink: Box::new(outside.clone()),
        offsets: Arc::new(outside.clone()),
        store: Arc::new(outside.clone()),
        history: Arc::new(outside.clone()),
        budget: Budget::new(64 << 20),
        control,
        metrics: Arc::default(),
        started: Box::new(|| {}),
        topic_used: Box::new(|_| {}),
        abort: driver::abort_flag(),
        flush_interval: Duration::from_millis(300),
        flush_timeout: Duration::from_secs(5),
        shutdown_timeout: Duration::from_secs(5),
        encoder_threads: 2,
        boundary: (script != Script::AtLeastOnce).then_some(Boundary::Poll),
        delivery_timeout: None,
        cluster: None,
    };
    let running = tokio::spawn(driver::run(Steps(outside.clone()), OffsetMap::new(), task));
    if script == Script::Fenced {
        let result = running.await.unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(&result, Err(TaskError::Definite(failure)) if failure.message == FENCED), "{result:?}");
    } else {
        outside.through(3).await;
        control_to.send_replace(Control::Stop);
        assert_eq!(running.await.unwrap_or_else(|error| panic!("{error}")), Ok(()));
    }
    outside.calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_driver_and_the_simulation_do_the_same_things_in_the_same_order() {
    for script in [Script::AtLeastOnce, Script::ExactlyOnce, Script::Unknown, Script::Fenced] {
        let (driven, rehearsed) = (drive(script).await, rehearse(script));
        assert_eq!(driven, rehearsed, "{script:?}");
        // And it is what it should be.
        let once = match script {
            Script::AtLeastOnce => &["produce", "save", "publish", "save"][..],
            _ => &["produce", "commit", "save"][..],
        };
        let starts: &[_] = if script == Script::AtLeastOnce { &["read"] } else { &["take over", "read"] };
        let expected = match script {
            Script::AtLeastOnce | Script::ExactlyOnce => [starts, once, once, once].concat(),
            Script::Unknown => [starts, &["produce", "commit", "renew", "read", "save"], once, once].concat(),
            Script::Fenced => [starts, once, once, &["produce", "abort"]].concat(),
        };
        assert_eq!(driven, expected, "{script:?}");
    }
}
