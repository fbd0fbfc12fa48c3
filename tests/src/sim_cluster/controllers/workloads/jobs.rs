//! Jobs: their pods run once.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Run, condition, pods};
use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::object;
use crate::sim_cluster::server::ApiServer;

fn is_complete(job: &Run) -> bool {
    let conditions = object::at(&job.value, &["status", "conditions"]).and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Complete" && one["status"] == "True")
}

/// Starts the pods that are missing and reports.
pub(super) fn advance(server: &mut ApiServer, job: &Run, now: Timestamp) {
    if is_complete(job) || job.value["spec"]["suspend"] == true {
        return;
    }
    let completions = job.number(&["spec", "completions"]);
    let started = object::at(&job.value, &["status", "startTime"]).cloned();
    let started = started.unwrap_or_else(|| object::timestamp(now).into());
    if !server.options.pods {
        if job
            .value
            .get("status")
            .and_then(|status| status.get("startTime"))
            .is_none()
        {
            job.report(
                server,
                json!({"active": job.number(&["spec", "parallelism"]), "startTime": started}),
                now,
            );
            let delay = server.options.ready_after;
            server.plan(Task::Ripen(job.key.clone()), delay, now);
        }
        return;
    }
    let own = job.owned(server, "pods");
    let phase = |phase: &str| {
        own.iter()
            .filter(|pod| pod.value["status"]["phase"] == phase)
            .count() as i64
    };
    let succeeded = phase("Succeeded");
    if succeeded >= completions {
        complete(server, job, now);
        return;
    }
    let active = own.len() as i64 - succeeded;
    let wanted = job
        .number(&["spec", "parallelism"])
        .min(completions - succeeded);
    for _ in active..wanted {
        let name = format!("{}-{}", job.name(), server.random.suffix(5));
        pods::make(server, job, &name, &json!({}), None, now);
    }
    let mut status =
        json!({"active": wanted.max(active), "ready": phase("Running"), "startTime": started});
    if succeeded > 0 {
        status["succeeded"] = succeeded.into();
    }
    job.report(server, status, now);
}

/// The job has done its work.
pub(super) fn complete(server: &mut ApiServer, job: &Run, now: Timestamp) {
    if is_complete(job) || pods::is_broken(server, &job.template()) {
        return;
    }
    let why = "Reached expected number of succeeded pods";
    let status = json!({
        "succeeded": job.number(&["spec", "completions"]),
        "ready": 0,
        "terminating": 0,
        "startTime": job.value["status"]["startTime"],
        "completionTime": object::timestamp(now),
        "conditions": [
            condition("SuccessCriteriaMet", true, "CompletionsReached", why),
            condition("Complete", true, "CompletionsReached", why),
        ],
    });
    job.report(server, status, now);
}
