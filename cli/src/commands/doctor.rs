//! `skein doctor`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use jiff::SignedDuration;
use skein_schema::code::Code;
use skein_schema::command::CLOCK_SKEW_MAX_SECONDS;
use skein_schema::query::{Answer, Health, Query};

use crate::app;
use crate::cli::Global;
use crate::client::{Client, unexpected};
use crate::error::{CliError, CliResult};
use crate::output::print;

/// Find out what is wrong between you and the fleet
///
/// Checks the configuration, the bus, the hub, clocks, versions and streams, one line each. The
/// exit code is that of the first failed check.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// How one check went.
struct Finding {
    ok: bool,
    what: &'static str,
    detail: String,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let (path, config) = global.load()?;
        let (name, context) = config.context(global.context.as_deref())?;
        show(
            true,
            "configuration",
            &format!("{}, context {name}", path.display()),
        )?;
        let client = match Client::connect(context, global.request_timeout).await {
            Ok(client) => client,
            Err(error) => return failed("connection", error),
        };
        let start = started();
        if let Err(error) = client.round_trip().await {
            return failed("connection", error);
        }
        let micros = start.elapsed().as_micros();
        show(
            true,
            "connection",
            &format!(
                "{} as user {}, round trip {micros} µs",
                context.servers.join(", "),
                context.user
            ),
        )?;
        let asked = app::now();
        let health = match health(&client).await {
            Ok(health) => health,
            Err(error) => return failed("hub", error),
        };
        let answered = app::now();
        let middle = asked + answered.duration_since(asked) / 2;
        let mut worst = true;
        for finding in judge(&health, health.time.duration_since(middle)) {
            worst &= finding.ok;
            show(finding.ok, finding.what, &finding.detail)?;
        }
        Ok(if worst {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(6)
        })
    }
}

/// A monotonic clock for one round trip; nothing decides by it.
#[allow(
    clippy::disallowed_methods,
    reason = "measures a round trip for people to read"
)]
fn started() -> Instant {
    Instant::now()
}

/// How the hub is.
pub(crate) async fn health(client: &Client) -> CliResult<Health> {
    match client.query(&Query::Health).await?.next().await? {
        Some(Answer::Health(health)) => Ok(*health),
        Some(other) => Err(unexpected(&other)),
        None => Err(CliError::new(Code::NoHub, "the hub does not say how it is")),
    }
}

fn judge(health: &Health, ahead: SignedDuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |ok, what, detail| findings.push(Finding { ok, what, detail });
    let role = if health.leads { "leads" } else { "follows" };
    match &health.fenced {
        Some(why) => find(
            false,
            "hub",
            format!("{} has stopped deciding: {why}", health.hub),
        ),
        None => find(
            true,
            "hub",
            format!("{} {role}, ledger sequence {}", health.hub, health.sequence),
        ),
    }
    let objects: Vec<String> = health
        .objects
        .iter()
        .map(|(plural, count)| format!("{count} {plural}"))
        .collect();
    find(true, "objects", objects.join(", "));
    let ours = env!("CARGO_PKG_VERSION");
    let same = health.version == ours;
    let detail = format!(
        "client {ours}, hub {}, server {}",
        health.version, health.server_version
    );
    find(
        same,
        "versions",
        if same {
            detail
        } else {
            format!("{detail}: use one version of client and hub")
        },
    );
    let off = ahead.as_secs().abs();
    let word = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    find(
        off < CLOCK_SKEW_MAX_SECONDS,
        "clock",
        format!(
            "the hub's is {off}s {word} ours (commands are refused from {CLOCK_SKEW_MAX_SECONDS}s on)"
        ),
    );
    for stream in &health.streams {
        let detail = format!(
            "{}: {} messages, {} bytes, last sequence {}",
            stream.name, stream.messages, stream.bytes, stream.last_sequence
        );
        if stream.differences.is_empty() {
            find(true, "stream", detail);
        } else {
            find(
                false,
                "stream",
                format!(
                    "{detail}; differs from what is declared: {} ({})",
                    stream.differences.join("; "),
                    Code::TopologyDiffers
                ),
            );
        }
    }
    findings
}

fn show(ok: bool, what: &str, detail: &str) -> CliResult<()> {
    let mark = if ok { "ok  " } else { "FAIL" };
    print(&format!("{mark} {what}: {detail}\n"))
}

fn failed(what: &str, error: CliError) -> CliResult<ExitCode> {
    show(false, what, "see below")?;
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn health() -> Health {
        Health {
            hub: "hub-0".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            leads: true,
            fenced: None,
            time: "2026-11-23T14:00:00Z".parse().unwrap(),
            sequence: 7,
            objects: BTreeMap::new(),
            server_version: "2.15.1".into(),
            streams: vec![],
        }
    }

    fn failing(health: &Health, ahead: i64) -> Vec<&'static str> {
        judge(health, SignedDuration::from_secs(ahead))
            .into_iter()
            .filter(|f| !f.ok)
            .map(|f| f.what)
            .collect()
    }

    #[test]
    fn each_ailment_is_found() {
        assert!(failing(&health(), 0).is_empty());
        assert_eq!(failing(&health(), -3600), ["clock"]);
        assert_eq!(
            failing(
                &Health {
                    fenced: Some("the ledger is shorter".into()),
                    ..health()
                },
                0
            ),
            ["hub"]
        );
        assert_eq!(
            failing(
                &Health {
                    version: "9.9.9".into(),
                    ..health()
                },
                0
            ),
            ["versions"]
        );
        let stream = skein_schema::query::StreamHealth {
            name: "LEDGER".into(),
            messages: 0,
            bytes: 0,
            last_sequence: 0,
            differences: vec!["deny_delete: want true, have false".into()],
        };
        assert_eq!(
            failing(
                &Health {
                    streams: vec![stream],
                    ..health()
                },
                0
            ),
            ["stream"]
        );
    }
}
