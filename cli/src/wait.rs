//! Waiting for the fleet: an object is watched until it is as wanted, and what it lacks is told.

use std::time::Duration;

use serde_json::Value;
use skein_schema::code::Code;
use skein_schema::object::ObjectKey;
use skein_schema::query::{Answer, WatchChange};

use crate::ask;
use crate::client::{Client, unexpected};
use crate::error::{CliError, CliResult};
use crate::follow::{Patience, Watch};
use crate::output::columns;

/// Whether an object is as wanted: `Ok`, or what it still lacks.
pub(crate) type Judge = fn(&Value) -> Result<(), String>;

/// Watches `key` until `judge` is content. A hub that goes away is waited for like everything else.
///
/// # Errors
/// After `timeout`, with what is still lacking.
pub(crate) async fn until(
    client: &Client,
    key: &ObjectKey,
    timeout: Duration,
    judge: Judge,
) -> CliResult<Value> {
    let mut lacks = "it does not exist".to_owned();
    let watch = async {
        let mut answers = Watch::begin(client, ask::one(key, None), Patience::WAITING).await?;
        loop {
            match answers.next().await? {
                Some(Answer::Changed {
                    change: WatchChange::Deleted,
                    ..
                }) => "it was deleted".clone_into(&mut lacks),
                Some(Answer::Changed { object, .. }) => match judge(&object) {
                    Ok(()) => return Ok(object),
                    Err(lack) => lacks = lack,
                },
                Some(Answer::Listed) => {}
                Some(other) => return Err(unexpected(&other)),
                None => return Err(CliError::new(Code::NoHub, "the hub ended the watch")),
            }
        }
    };
    match tokio::time::timeout(timeout, watch).await {
        Ok(result) => result,
        Err(_) => Err(too_late(key, timeout, &lacks)),
    }
}

/// Watches `key` until it is gone.
///
/// # Errors
/// After `timeout`.
pub(crate) async fn until_gone(
    client: &Client,
    key: &ObjectKey,
    timeout: Duration,
) -> CliResult<()> {
    let watch = async {
        let mut answers = Watch::begin(client, ask::one(key, None), Patience::WAITING).await?;
        let mut there = false;
        loop {
            match answers.next().await? {
                Some(Answer::Changed {
                    change: WatchChange::Deleted,
                    ..
                }) => return Ok(()),
                Some(Answer::Changed { .. }) => there = true,
                Some(Answer::Listed) if !there => return Ok(()),
                Some(Answer::Listed) => {}
                Some(other) => return Err(unexpected(&other)),
                None => return Err(CliError::new(Code::NoHub, "the hub ended the watch")),
            }
        }
    };
    match tokio::time::timeout(timeout, watch).await {
        Ok(result) => result,
        Err(_) => Err(too_late(key, timeout, "its agent has not cleaned up")
            .with_hint("is the cluster connected? `--force` forgets the object without its agent")),
    }
}

fn too_late(key: &ObjectKey, timeout: Duration, lacks: &str) -> CliError {
    CliError::new(
        Code::DeadlineExceeded,
        format!("{key} after {}s: {lacks}", timeout.as_secs()),
    )
}

/// A cluster is available.
pub(crate) fn cluster_available(cluster: &Value) -> Result<(), String> {
    match columns::condition(cluster, "ManagedClusterConditionAvailable").as_str() {
        "True" => Ok(()),
        "" => Err("its agent has not connected".to_owned()),
        _ => Err(columns::message(
            cluster,
            "ManagedClusterConditionAvailable",
        )),
    }
}

/// A work is applied and available, at its present generation.
pub(crate) fn work_available(work: &Value) -> Result<(), String> {
    for of in ["Applied", "Available"] {
        match columns::current_condition(work, of).as_str() {
            "True" => {}
            "" => {
                return Err(format!(
                    "its agent has not reported {of} for this generation"
                ));
            }
            status => return Err(format!("{of} is {status}: {}", columns::message(work, of))),
        }
    }
    // Built-in readiness: a workload that still rolls out says so.
    match columns::current_condition(work, "Progressing").as_str() {
        "True" => Err(format!(
            "still progressing: {}",
            columns::message(work, "Progressing")
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn work(conditions: &Value) -> Value {
        json!({"metadata": {"generation": 2}, "status": {"conditions": conditions}})
    }

    #[test]
    fn a_work_is_waited_for_at_its_generation() {
        let condition = |of: &str, status: &str, generation: i64| json!({"type": of, "status": status, "observedGeneration": generation, "message": "m"});
        let judge = |conditions: Vec<Value>| work_available(&work(&Value::from(conditions)));
        assert!(
            judge(vec![
                condition("Applied", "True", 2),
                condition("Available", "True", 2)
            ])
            .is_ok()
        );
        assert!(
            judge(vec![
                condition("Applied", "True", 1),
                condition("Available", "True", 1)
            ])
            .is_err()
        );
        assert_eq!(
            judge(vec![condition("Applied", "False", 2)]),
            Err("Applied is False: m".into())
        );
        let progressing = vec![
            condition("Applied", "True", 2),
            condition("Available", "True", 2),
            condition("Progressing", "True", 2),
        ];
        assert_eq!(judge(progressing), Err("still progressing: m".into()));
    }
}
