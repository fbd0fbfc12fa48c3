//! What agents report, from the STATUS stream to the driver.

use futures::StreamExt as _;
use skein_nats::StoredMessage;
use skein_nats::status::StatusStream;
use skein_schema::envelope::{self, EnvelopeError};
use skein_schema::name::ClusterName;
use skein_schema::status::StatusMessage;
use skein_schema::subject::{self, SubjectError};
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::driver::input::{Input, StatusCall};
use crate::metrics::Metrics;
use crate::task::Stop;
use crate::trace;

/// A status message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Its subject is none.
    #[error("the subject is not that of a status message")]
    Subject(#[from] SubjectError),
    /// Its envelope says a version that this build does not read.
    #[error("the envelope is not valid")]
    Envelope(#[from] EnvelopeError),
    /// Its body is not a status message.
    #[error("the body is not a status message")]
    Body(#[from] serde_json::Error),
}

/// Reads a stored status message. Whose it is stands in the subject, which the bus has checked.
///
/// # Errors
/// When subject or body cannot be read.
pub fn decode(record: &StoredMessage) -> Result<(ClusterName, StatusMessage), StatusError> {
    let (_, cluster) = subject::parse_of_cluster(&record.subject)?;
    envelope::check_version(|name| record.headers.get(name))?;
    Ok((cluster, serde_json::from_slice(&record.body)?))
}

/// Reads the STATUS stream from `from` on until told to stop.
///
/// A message that cannot be read is counted and passed over: it is its agent's mistake, and no
/// truth is lost by it (the LEDGER is another matter).
///
/// # Errors
/// When the stream cannot be read any more.
pub async fn run(
    stream: StatusStream,
    from: u64,
    inputs: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut records = stream.read(from);
    loop {
        let record = tokio::select! {
            () = stop.wait() => return Ok(()),
            record = records.next() => record,
        };
        let Some(record) = record.transpose()? else {
            anyhow::bail!("the STATUS stream ended")
        };
        let report = match decode(&record) {
            Ok(report) => {
                metrics.statuses.inc();
                // Where a command's trace ends: its effect has been told.
                if let (
                    cluster,
                    StatusMessage {
                        rev,
                        traceparent: Some(traceparent),
                        ..
                    },
                ) = &report
                {
                    let trace_id = trace::trace_id(Some(traceparent));
                    tracing::info!(%cluster, rev, trace_id, "a cluster has reported");
                }
                Some(report)
            }
            Err(error) => {
                metrics.count(&metrics.malformed, "status");
                tracing::warn!(subject = %record.subject, error = %crate::report(&error), "a status message cannot be read");
                None
            }
        };
        let call = StatusCall {
            report,
            sequence: record.sequence,
            time: record.time,
        };
        if inputs.send(Input::Status(Box::new(call))).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(subject: &str, body: &str) -> StoredMessage {
        StoredMessage {
            sequence: 1,
            subject: subject.to_owned(),
            headers: skein_nats::Headers::new(),
            body: body.to_owned().into(),
            time: "2026-11-23T12:00:00Z".parse().unwrap(),
        }
    }

    const BODY: &str = r#"{"session":"00000000-0000-0000-0000-000000000001","number":1,"rev":2,
        "time":"2026-11-23T12:00:00Z","updates":[]}"#;

    #[test]
    fn whose_it_is_stands_in_the_subject() {
        let (cluster, message) = decode(&record("status.default.c1", BODY)).unwrap();
        assert_eq!((cluster.as_str(), message.rev), ("c1", 2));
    }

    #[test]
    fn what_is_none_is_told_apart() {
        assert!(matches!(
            decode(&record("status.c1", BODY)),
            Err(StatusError::Subject(_))
        ));
        let mut future = record("status.default.c1", BODY);
        future.headers = skein_nats::Headers::new().with("ce-schemaversion", "99");
        assert!(matches!(decode(&future), Err(StatusError::Envelope(_))));
        for body in ["", "not json", "[]", r#"{"session":"x"}"#] {
            assert!(
                matches!(
                    decode(&record("status.default.c1", body)),
                    Err(StatusError::Body(_))
                ),
                "{body}"
            );
        }
    }
}
