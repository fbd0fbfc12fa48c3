//! Starting things, and the clusters' way into the fleet.

use std::net::SocketAddr;

use crate::demo::{Arguments, clusters};
use crate::stage::{Failure, Outcome, Stage};

pub(super) async fn clusters(stage: &mut Stage, arguments: &Arguments) -> Outcome<()> {
    clusters::gather(stage, arguments).await
}

pub(super) async fn control_plane(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let data = stage.path("hub").display().to_string();
    println!("  $ skein up --data-dir {data}");
    let arguments = [
        "up",
        "--data-dir",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--context-name",
        "demo",
    ];
    stage.start("hub", "skein", &arguments)?;
    stage
        .until("doctor", |out| out.contains("ok   hub"))
        .await?;
    stage.skein("doctor").await?;
    stage.skein("get managedclustersets").await?;
    Ok(())
}

/// Where the bus is, as the context says it.
async fn bus(stage: &mut Stage) -> Outcome<SocketAddr> {
    let context = stage.ask("context show").await?;
    let address = context.lines().find_map(|line| {
        line.trim()
            .strip_prefix("- ")?
            .rsplit("//")
            .next()?
            .parse()
            .ok()
    });
    address.ok_or_else(|| Failure::new(format!("cannot tell where the bus is from:\n{context}")))
}

pub(super) async fn join(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let bus = bus(stage).await?;
    let relay = stage.lay_relay(bus).await?;
    let count = stage.members.len();
    for index in 0..count {
        let member = &stage.members[index];
        let (name, kubeconfig, context) = (
            member.name.clone(),
            member.kubeconfig.display().to_string(),
            member.context.clone(),
        );
        let token = stage.path(&format!("{name}.token")).display().to_string();
        // The last cluster reaches the bus over a network that can be cut.
        let server = if index + 1 == count { relay } else { bus };
        stage.skein(&format!("token create --cluster {name} --label site=s{} --server nats://{server} --output-file {token}", index + 1)).await?;
        let state = stage.path(&format!("{name}.state")).display().to_string();
        println!(
            "  $ skein join --token-file {token} --cluster-name {name} --kubeconfig … --kube-context {context}"
        );
        let arguments = [
            "join",
            "--token-file",
            &token,
            "--cluster-name",
            &name,
            "--state-dir",
            &state,
            "--kubeconfig",
            &kubeconfig,
            "--kube-context",
            &context,
        ];
        stage.start(&name, "skein", &arguments)?;
    }
    stage
        .until("get managedclusters -o name", |out| {
            out.lines().count() == count
        })
        .await?;
    stage.skein("get managedclusters").await?;
    Ok(())
}

pub(super) async fn accept(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let names: Vec<String> = stage
        .members
        .iter()
        .map(|member| member.name.clone())
        .collect();
    stage
        .skein(&format!("accept {} --wait --timeout 60s", names.join(" ")))
        .await?;
    stage.skein("get managedclusters -o wide").await?;
    let sets = stage.skein("get managedclustersets").await?;
    let count = names.len().to_string();
    let global = sets.lines().find(|line| line.starts_with("global"));
    if global.is_some_and(|line| line.split_whitespace().any(|word| word == count)) {
        return Ok(());
    }
    Err(Failure::new("the global set does not hold all clusters"))
}
