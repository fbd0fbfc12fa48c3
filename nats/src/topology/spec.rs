//! The declarations.

use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};
use skein_schema::subject;

use super::StreamDifference;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest window in which JetStream looks for messages of the same id. A longer one would
/// let a writer block an id that another writer is about to use.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// The largest ledger message: a record of 512 KiB, and room for its headers.
const LEDGER_MESSAGE: i32 = 640 * 1024;

/// The largest message on the other streams. Commands and snapshots' parts hold manifests.
const LARGE_MESSAGE: i32 = 4 * 1024 * 1024;

/// The largest status message.
const STATUS_MESSAGE: i32 = 1024 * 1024;

/// How many commands may wait. More are refused, so that a flood is told and not stored.
const WAITING_COMMANDS: i64 = 100_000;

/// A stream as it should be.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    config: Config,
}

impl StreamSpec {
    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The subjects it stores.
    #[must_use]
    pub fn subjects(&self) -> &[String] {
        &self.config.subjects
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> &str {
        self.config.description.as_deref().unwrap_or_default()
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn compare(&self, have: &Config) -> Option<StreamDifference> {
        StreamDifference::between(&self.config, have)
    }
}

/// All streams. Those that only hubs write are kept on `replicas` servers.
///
/// Commands and statuses are kept on one: servers up to 2.15.2 stop a *replicated* stream for good
/// when a message on it expects another id before it (`Nats-Expected-Last-Msg-Id`), so that a
/// single agent could silence all. On one server the same message is refused and nothing more.
/// Both can be sent again by those who wrote them.
#[must_use]
pub fn streams(replicas: usize) -> Vec<StreamSpec> {
    let declared = [
        (ledger(), replicas),
        (commands(), 1),
        (desired(), replicas),
        (content(), replicas),
        (status(), 1),
        (snapshots(), replicas),
        (leases(), replicas),
    ];
    declared
        .into_iter()
        .map(|(config, num_replicas)| StreamSpec {
            config: Config {
                num_replicas,
                ..config
            },
        })
        .collect()
}

/// What all have in common: on disk, without limits, and none of the features that let a
/// message's header do more than store the message.
fn plain(name: &str, subjects: &[&str], purpose: &str) -> Config {
    Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(ToString::to_string).collect(),
        description: Some(purpose.to_owned()),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        duplicate_window: DUPLICATE_WINDOW,
        // Not set: compression. The file store has lost data with it.
        ..Config::default()
    }
}

fn ledger() -> Config {
    Config {
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        max_message_size: LEDGER_MESSAGE,
        // Reads are answered by the leader only: a writer reads back what it wrote.
        allow_direct: false,
        ..plain(
            subject::LEDGER_STREAM,
            &[subject::LEDGER_ALL],
            "all that was decided",
        )
    }
}

fn commands() -> Config {
    Config {
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_age: 7 * DAY,
        max_messages: WAITING_COMMANDS,
        max_message_size: LARGE_MESSAGE,
        ..plain(
            subject::COMMANDS_STREAM,
            &[subject::COMMANDS_ALL],
            "commands that wait for a decision",
        )
    }
}

fn desired() -> Config {
    Config {
        max_age: 30 * DAY,
        max_message_size: LARGE_MESSAGE,
        // A snapshot takes the place of what was before it on its subject. Only hubs write here.
        allow_rollup: true,
        allow_direct: true,
        republish: Some(Republish {
            source: subject::DESIRED_ALL.to_owned(),
            destination: subject::LIVE_DESIRED_TRANSFORM.to_owned(),
            headers_only: false,
        }),
        ..plain(
            subject::DESIRED_STREAM,
            &[subject::DESIRED_ALL],
            "what clusters are told",
        )
    }
}

fn content() -> Config {
    Config {
        discard: DiscardPolicy::New,
        // Stored once, never replaced: the subject is the digest.
        max_messages_per_subject: 1,
        discard_new_per_subject: true,
        max_message_size: LARGE_MESSAGE,
        allow_direct: true,
        ..plain(
            subject::CONTENT_STREAM,
            &[subject::CONTENT_ALL],
            "manifests by digest",
        )
    }
}

fn status() -> Config {
    Config {
        max_age: 30 * DAY,
        max_message_size: STATUS_MESSAGE,
        ..plain(
            subject::STATUS_STREAM,
            &[subject::STATUS_ALL],
            "what agents report",
        )
    }
}

/// An object store is a stream with these subjects and features, by NATS' convention.
fn snapshots() -> Config {
    let bucket = subject::SNAPSHOTS_BUCKET;
    Config {
        discard: DiscardPolicy::New,
        allow_rollup: true,
        allow_direct: true,
        ..plain(
            &format!("OBJ_{bucket}"),
            &[&format!("$O.{bucket}.C.>"), &format!("$O.{bucket}.M.>")],
            "folded state; can be deleted and rebuilt",
        )
    }
}

/// A key-value bucket is a stream with these subjects, by NATS' convention. A lease ends by the
/// time to live of its message.
fn leases() -> Config {
    let bucket = subject::LEASES_BUCKET;
    Config {
        discard: DiscardPolicy::New,
        max_messages_per_subject: 1,
        allow_message_ttl: true,
        deny_delete: true,
        ..plain(
            &format!("KV_{bucket}"),
            &[&format!("$KV.{bucket}.>")],
            "who leads",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Config {
        let found = streams(3).into_iter().find(|spec| spec.name() == name);
        found.expect("declared").config
    }

    #[test]
    fn what_others_than_hubs_write_is_plain() {
        for name in [subject::COMMANDS_STREAM, subject::STATUS_STREAM] {
            let config = of(name);
            assert!(
                !config.allow_rollup
                    && !config.allow_message_ttl
                    && !config.allow_message_schedules,
                "{name}"
            );
            assert!(
                !config.allow_atomic_publish
                    && !config.allow_message_counter
                    && !config.allow_batch_publish,
                "{name}"
            );
            assert!(
                config.subject_delete_marker_ttl.is_none() && config.republish.is_none(),
                "{name}"
            );
            assert_eq!(config.duplicate_window, DUPLICATE_WINDOW, "{name}");
            assert!(config.max_message_size > 0, "{name}");
            assert_eq!(config.num_replicas, 1, "{name}: see `streams`");
        }
    }

    #[test]
    fn the_ledger_cannot_be_shortened() {
        let ledger = of(subject::LEDGER_STREAM);
        assert!(ledger.deny_delete && ledger.deny_purge && !ledger.allow_rollup);
        assert_eq!(
            (ledger.max_messages, ledger.max_bytes, ledger.max_age),
            (-1, -1, Duration::ZERO)
        );
        assert_eq!(
            (ledger.discard, ledger.storage),
            (DiscardPolicy::New, StorageType::File)
        );
        assert_eq!(ledger.compression, None);
        assert_eq!(ledger.num_replicas, 3);
    }
}
