//! Runs the checks against every target and says in the last lines what was not run.

use std::process::ExitCode;
use std::time::Instant;

use futures::StreamExt;
use kube::Client;
use skein_tests::sim_cluster::{SimCluster, SimOptions};

use crate::context::{Check, Context};

/// Runs all checks whose name contains one of the command line's words.
pub(crate) fn run(checks: &[Check]) -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if std::env::args().any(|argument| argument == "--list") {
        checks.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let wanted = |(name, _): &&Check| {
        arguments.is_empty() || arguments.iter().any(|word| name.contains(word))
    };
    let checks: Vec<Check> = checks.iter().filter(wanted).copied().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run_targets(&checks))
}

async fn run_targets(checks: &[Check]) -> ExitCode {
    let mut failed = Vec::new();
    let simulated = SimCluster::new(SimOptions::named("in-process"));
    failed.extend(run_target("simulated, in process", &simulated.client(), checks).await);
    let served = SimCluster::new(SimOptions::named("over-http"));
    let server = served
        .serve_http(([127, 0, 0, 1], 0).into())
        .await
        .expect("a port");
    let config = kube::Config::new(server.url().parse().expect("a URL"));
    let client = Client::try_from(config).expect("a client");
    failed.extend(run_target("simulated, over HTTP", &client, checks).await);
    for name in &failed {
        println!("FAILED  {name}");
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run_target(target: &str, client: &Client, checks: &[Check]) -> Vec<String> {
    let start = Instant::now();
    let runs = checks.iter().enumerate().map(|(index, (name, check))| {
        let client = client.clone();
        async move {
            let context = Context::new(client, format!("check-{index}")).await;
            (*name, tokio::task::spawn(check(context)).await.is_ok())
        }
    });
    let results: Vec<(&str, bool)> = futures::stream::iter(runs)
        .buffer_unordered(8)
        .collect()
        .await;
    let failed: Vec<String> = results
        .iter()
        .filter(|(_, passed)| !passed)
        .map(|(name, _)| format!("{name} ({target})"))
        .collect();
    println!(
        "{target}: {} of {} checks passed in {:.1?}",
        results.len() - failed.len(),
        results.len(),
        start.elapsed()
    );
    failed
}
