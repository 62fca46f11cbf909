//! Where a task starts: the local checkpoint and the offsets topic, and who is right when they differ.

use model::OffsetMap;

use crate::{
    error::TaskError,
    port::{Place, SavedCheckpoint, StoredOffset},
};

/// Which position a task starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// Neither has one.
    Nothing,
    /// The local checkpoint, which is as new as Kafka's record or newer.
    Checkpoint(OffsetMap),
    /// The offsets topic: written by somebody else since, or the checkpoint is gone. The checkpoint is repaired.
    Kafka(OffsetMap, Place),
    /// The offset was deleted in Kafka since: the checkpoint is forgotten.
    Deleted,
}

/// Decides between the checkpoint and the newest record of the offsets topic.
///
/// The checkpoint remembers which record of the topic it knew last. A newer record, or a tombstone, was written by
/// somebody else (a Java worker, a user's DELETE) and wins. A topic that does not hold what the checkpoint knew
/// was recreated, or belongs to another cluster: nobody but a person can say which one is right.
///
/// # Errors
/// The checkpoint is ahead of Kafka; the text names both positions and the two answers.
pub fn origin(
    connector: &str,
    checkpoint: Option<&SavedCheckpoint>,
    kafka: Option<&StoredOffset>,
    cluster: Option<&str>,
) -> Result<Origin, TaskError> {
    let Some(saved) = checkpoint else {
        return Ok(match kafka {
            Some(StoredOffset { offset: Some(offset), at }) => Origin::Kafka(offset.clone(), *at),
            _ => Origin::Nothing,
        });
    };
    let other_cluster = matches!((&saved.cluster, cluster), (Some(then), Some(now)) if then != now);
    if !other_cluster {
        match (saved.published_at, kafka) {
            (Some(known), Some(stored)) if stored.at == known => return Ok(Origin::Checkpoint(saved.offset.clone())),
            (None, None) => return Ok(Origin::Checkpoint(saved.offset.clone())),
            (Some(known), Some(stored)) if stored.at.0 == known.0 && stored.at.1 > known.1 => return Ok(newer(stored)),
            (None, Some(stored)) => return Ok(newer(stored)),
            _ => {}
        }
    }
    let in_kafka = match kafka {
        Some(StoredOffset { offset: Some(offset), .. }) => serde_json::Value::Object(offset.clone()).to_string(),
        _ => "nothing".to_owned(),
    };
    Err(TaskError::definite(format!(
        "the local checkpoint of connector {connector} is ahead of Kafka: it says {}, the offsets topic says {in_kafka}{}. \
         The offsets topic was recreated or this is another cluster. Say which one is right: \
         `afterimage offsets set {connector} --from cache` or `afterimage offsets set {connector} --from kafka`",
        serde_json::Value::Object(saved.offset.clone()),
        if other_cluster { " (and the cluster id is another one)" } else { "" },
    )))
}

fn newer(stored: &StoredOffset) -> Origin {
    match &stored.offset {
        Some(offset) => Origin::Kafka(offset.clone(), stored.at),
        None => Origin::Deleted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(pos: i64) -> OffsetMap {
        let mut map = OffsetMap::new();
        map.insert("pos".into(), pos.into());
        map
    }

    fn saved(pos: i64, published_at: Option<(i32, i64)>) -> SavedCheckpoint {
        SavedCheckpoint { offset: offset(pos), published_at, cluster: Some("one".into()) }
    }

    fn kafka(pos: Option<i64>, at: i64) -> StoredOffset {
        StoredOffset { offset: pos.map(offset), at: (3, at) }
    }

    fn decide(checkpoint: Option<SavedCheckpoint>, stored: Option<StoredOffset>) -> Result<Origin, TaskError> {
        origin("c", checkpoint.as_ref(), stored.as_ref(), Some("one"))
    }

    #[test]
    fn the_newer_of_two_wins() {
        assert_eq!(decide(None, None), Ok(Origin::Nothing));
        assert_eq!(decide(None, Some(kafka(Some(5), 1))), Ok(Origin::Kafka(offset(5), (3, 1))));
        assert_eq!(decide(None, Some(kafka(None, 1))), Ok(Origin::Nothing));
        // The checkpoint knew this very record and has moved on since.
        let known = Some((3, 7));
        assert_eq!(decide(Some(saved(9, known)), Some(kafka(Some(5), 7))), Ok(Origin::Checkpoint(offset(9))));
        // Somebody wrote after us.
        assert_eq!(decide(Some(saved(9, known)), Some(kafka(Some(5), 8))), Ok(Origin::Kafka(offset(5), (3, 8))));
        assert_eq!(decide(Some(saved(9, known)), Some(kafka(None, 8))), Ok(Origin::Deleted));
        assert_eq!(decide(Some(saved(9, None)), None), Ok(Origin::Checkpoint(offset(9))));
        assert_eq!(decide(Some(saved(9, None)), Some(kafka(Some(5), 0))), Ok(Origin::Kafka(offset(5), (3, 0))));
    }

    #[test]
    fn a_checkpoint_ahead_of_kafka_is_a_question() {
        for stored in [None, Some(kafka(Some(5), 6))] {
            let error = decide(Some(saved(9, Some((3, 7)))), stored);
            let text = error.map_err(|e| e.to_string()).err().unwrap_or_default();
            assert!(text.contains("{\"pos\":9}") && text.contains("--from cache"), "{text}");
        }
        let elsewhere = SavedCheckpoint { cluster: Some("two".into()), ..saved(9, None) };
        assert!(decide(Some(elsewhere), None).is_err());
    }
}
