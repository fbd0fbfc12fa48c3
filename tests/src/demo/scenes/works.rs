//! Works: applied, healed, moved, caught up with, taken away.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::demo::Arguments;
use crate::stage::{Failure, Kind, Member, Outcome, PATIENCE, Stage, pause};

/// An example as the reader would name it, from the repository's root.
fn example(name: &str) -> String {
    format!("examples/{name}")
}

pub(super) async fn apply(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let names: Vec<String> = stage
        .members
        .iter()
        .map(|member| member.name.clone())
        .collect();
    let file = example("work-web.yaml");
    for name in &names {
        stage
            .skein(&format!("apply -f {file} -n {name} --wait --timeout 60s"))
            .await?;
    }
    stage.skein("get manifestworks -A").await?;
    let feedback = "jsonpath={.status.resourceStatus.manifests[*].statusFeedback.values[?(@.name=='ReadyReplicas')].fieldValue.integer}";
    let line = format!("get manifestwork web -n {} -o {feedback}", names[0]);
    let ready = stage.until(&line, |out| out.trim() == "2").await?;
    println!(
        "  the Deployment's status came back from {}: {} replicas are ready",
        names[0],
        ready.trim()
    );
    Ok(())
}

/// Looks into a cluster until `judge` is content.
async fn look(
    member: &Member,
    kind: Kind,
    name: &str,
    judge: impl Fn(Option<&Value>) -> bool,
) -> Outcome<Duration> {
    let start = Instant::now();
    loop {
        let found = member.find(kind, name).await?;
        if judge(found.as_ref()) {
            return Ok(start.elapsed());
        }
        if start.elapsed() > PATIENCE {
            return Err(Failure::new(format!(
                "{name} on {} is still {found:?}",
                member.name
            )));
        }
        pause().await;
    }
}

/// What somebody does to the page of `examples/work-web.yaml`.
fn defaced() -> Value {
    json!({"data": {"index.html": "<h1>pwned</h1>\n"}})
}

fn page(object: Option<&Value>) -> &str {
    object
        .and_then(|o| o.pointer("/data/index.html"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) async fn break_and_heal(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let member = &stage.members[0];
    member.edit(Kind::ConfigMap, "web-page", &defaced()).await?;
    println!("  somebody defaced the page on {}", member.name);
    let took = look(member, Kind::ConfigMap, "web-page", |o| {
        page(o).contains("Hello from the fleet")
    })
    .await?;
    println!("  it was put right after {} ms", took.as_millis());
    member.delete(Kind::Deployment, "web").await?;
    println!("  somebody deleted the Deployment on {}", member.name);
    let is_new = |object: Option<&Value>| {
        object.is_some_and(|o| o.pointer("/metadata/deletionTimestamp").is_none())
    };
    let took = look(member, Kind::Deployment, "web", is_new).await?;
    println!("  it was there again after {} ms", took.as_millis());
    Ok(())
}

pub(super) async fn move_set(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let name = stage.members[1].name.clone();
    let sequence = "get managedclusters -o jsonpath={.items[*].metadata.resourceVersion}";
    let versions = stage.ask(sequence).await?;
    stage.before_change = versions
        .split_whitespace()
        .filter_map(|text| text.parse().ok())
        .max();
    stage
        .skein(&format!("apply -f {}", example("clusterset-eu.yaml")))
        .await?;
    stage
        .skein(&format!("clusterset set eu --clusters {name}"))
        .await?;
    stage.skein("get managedclusters").await?;
    stage
        .until(&format!("get mcl {name}"), |out| {
            out.contains(" eu ") && out.contains("True")
        })
        .await?;
    // Its messages now come on another subject: a change must still arrive.
    stage
        .skein(&format!(
            "apply -f {} -n {name} --wait --timeout 60s",
            example("work-config.yaml")
        ))
        .await?;
    Ok(())
}

pub(super) async fn cut_off(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let last = stage.members.len() - 1;
    let name = stage.members[last].name.clone();
    if let Some(relay) = &stage.relay {
        relay.cut();
    }
    println!("  the network between {name} and the hub is cut");
    stage
        .until(&format!("get mcl {name}"), |out| out.contains("Unknown"))
        .await?;
    stage.skein("get managedclusters").await?;
    stage
        .skein(&format!(
            "apply -f {} -n {name}",
            example("work-orphan.yaml")
        ))
        .await?;
    let member = &stage.members[last];
    member.edit(Kind::ConfigMap, "web-page", &defaced()).await?;
    look(member, Kind::ConfigMap, "web-page", |o| {
        page(o).contains("Hello from the fleet")
    })
    .await?;
    println!("  meanwhile somebody defaced its page: cut off as it is, {name} put it right");
    if let Some(relay) = &stage.relay {
        relay.mend();
    }
    println!("  the network is mended");
    stage
        .until(&format!("get mcl {name}"), |out| out.contains("True"))
        .await?;
    stage
        .until(&format!("get manifestwork data -n {name}"), |out| {
            out.lines()
                .last()
                .is_some_and(|line| line.matches("True").count() == 2)
        })
        .await?;
    stage.skein(&format!("get manifestworks -n {name}")).await?;
    println!("  {name} is back and has caught up with what was applied meanwhile");
    Ok(())
}

pub(super) async fn remove(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let name = stage.members[0].name.clone();
    stage
        .skein(&format!("delete manifestwork web -n {name} --timeout 60s"))
        .await?;
    let took = look(&stage.members[0], Kind::Deployment, "web", |o| o.is_none()).await?;
    println!(
        "  the Deployment is gone from {name} ({} ms after the command said so)",
        took.as_millis()
    );
    Ok(())
}
