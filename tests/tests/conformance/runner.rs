//! Runs the checks against every target and says in the last lines what was not run.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use futures::{FutureExt, StreamExt};
use kube::Client;
use skein_tests::kube_cluster::{KubeCluster, KubeOptions, StartError};
use skein_tests::sim_cluster::{SimCluster, SimOptions};

use crate::context::{Check, Context, Target};
use crate::twins;

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
    let target = Target {
        client: simulated.client(),
        simulated: Some(simulated),
    };
    failed.extend(run_target("simulated, in process", &target, checks).await);

    let served = SimCluster::new(SimOptions::named("over-http"));
    let server = served
        .serve_http(([127, 0, 0, 1], 0).into())
        .await
        .expect("a port");
    let config = kube::Config::new(server.url().parse().expect("a URL"));
    let client = Client::try_from(config).expect("a client");
    let target = Target {
        client,
        simulated: Some(served),
    };
    failed.extend(run_target("simulated, over HTTP", &target, checks).await);

    let skipped = match KubeCluster::start(&KubeOptions::default()).await {
        Ok(mut cluster) => {
            let target = Target {
                client: cluster.client(),
                simulated: None,
            };
            let mut found = run_target("real kube-apiserver", &target, checks).await;
            let own = SimCluster::new(SimOptions::named("twin"));
            found.extend(twins::compare(&own.client(), &cluster.client()).await);
            if !found.is_empty() {
                println!(
                    "the logs of the real control plane are kept in {}",
                    cluster.keep_folder()
                );
            }
            failed.extend(found);
            None
        }
        Err(StartError::Missing(missing)) => Some(missing),
        Err(error) => {
            println!("real kube-apiserver: {error}");
            failed.push(format!("real kube-apiserver: {error:?}"));
            None
        }
    };
    for name in &failed {
        println!("FAILED  {name}");
    }
    if let Some(missing) = skipped {
        println!("SKIPPED the real kube-apiserver: {missing}");
        println!(
            "SKIPPED so nobody has checked today that simulated clusters answer as a real one does."
        );
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run_target(name: &str, target: &Target, checks: &[Check]) -> Vec<String> {
    let start = Instant::now();
    let runs = checks.iter().enumerate().map(|(index, (name, check))| {
        let target = target.clone();
        async move {
            let context = Context::new(target, format!("check-{index}")).await;
            (
                *name,
                AssertUnwindSafe(check(context))
                    .catch_unwind()
                    .await
                    .is_ok(),
            )
        }
    });
    let results: Vec<(&str, bool)> = futures::stream::iter(runs)
        .buffer_unordered(8)
        .collect()
        .await;
    let failed: Vec<String> = results
        .iter()
        .filter(|(_, passed)| !passed)
        .map(|(check, _)| format!("{check} ({name})"))
        .collect();
    println!(
        "{name}: {} of {} checks passed in {:.1?}",
        results.len() - failed.len(),
        results.len(),
        start.elapsed()
    );
    failed
}
