//! What an agent takes, idle and at work, and how large the programs are.

use std::time::Instant;

use serde_json::{Value, json};

use super::hops;
use super::machine;
use super::numbers::{count, mebibytes};
use super::raw::PATIENCE;
use super::report::Section;
use super::user::User;
use crate::fleet::{Fleet, FleetOptions};
use crate::stage::{Failure, Outcome, Stage};

/// Works of the agent that has some.
const WORKS: usize = 100;
/// The programs that are shipped.
const PROGRAMS: [&str; 3] = ["skein", "skein-hub", "skein-agent"];
/// How long processor time is watched, in seconds.
const WATCHED: u64 = 10;

/// Measures an agent on a simulated cluster.
pub(super) async fn measure() -> Outcome<Vec<Section>> {
    let mut stage = Stage::build()?;
    let _fleet = Fleet::start(&mut stage, FleetOptions { clusters: 1 }).await?;
    let rows = agent(&mut stage).await;
    stage.end().await;
    Ok(vec![
        Section {
            title: "An agent".to_owned(),
            about: format!(
                "Resident memory of `skein-agent` on a simulated cluster, and its processor time in \
                 {WATCHED} s in which nothing changes. Each work has one ConfigMap."
            ),
            columns: vec!["", "memory", "processor, % of one core"],
            rows: rows?,
        },
        programs()?,
    ])
}

async fn agent(stage: &mut Stage) -> Outcome<Vec<Vec<String>>> {
    let name = stage
        .members
        .first()
        .map(|member| member.name.clone())
        .unwrap_or_default();
    let started = stage
        .process(&name)
        .ok_or_else(|| Failure::new("the agent is not running"))?;
    let pid = program(started, "skein-agent")
        .ok_or_else(|| Failure::new("the agent's process cannot be found"))?;
    let mut rows = vec![row("idle", pid).await?];
    let data = stage.path("hub");
    let mut user = User::enter(&data, &hops::url(&data)?).await?;
    for number in 0..WORKS {
        user.apply(work(&name, number)).await?;
    }
    let path = "jsonpath={.items[*].status.conditions[?(@.type=='Available')].status}";
    stage
        .until(&format!("get manifestworks -n {name} -o {path}"), |out| {
            out.matches("True").count() == WORKS
        })
        .await?;
    rows.push(row(&format!("{WORKS} works"), pid).await?);
    Ok(rows)
}

fn work(cluster: &str, number: usize) -> Value {
    json!({
        "apiVersion": "work.open-cluster-management.io/v1",
        "kind": "ManifestWork",
        "metadata": {"name": format!("bench-{number}"), "namespace": cluster},
        "spec": {"workload": {"manifests": [{
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": format!("bench-{number}"), "namespace": "default"},
            "data": {"level": "info"},
        }]}},
    })
}

/// A process or one below it that runs this program.
fn program(pid: u32, name: &str) -> Option<u32> {
    let running = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if running.trim() == name {
        return Some(pid);
    }
    let children = machine::children(pid).into_iter();
    children.filter_map(|child| program(child, name)).next()
}

async fn row(what: &str, pid: u32) -> Outcome<Vec<String>> {
    let watched = std::time::Duration::from_secs(WATCHED).min(PATIENCE);
    let (begin, before) = (Instant::now(), machine::ticks(pid)?);
    while begin.elapsed() < watched {
        crate::stage::pause().await;
    }
    let busy = (machine::ticks(pid)? - before) as f64 / begin.elapsed().as_secs_f64();
    Ok(vec![
        what.to_owned(),
        mebibytes(machine::resident(pid)?),
        format!("{busy:.1}"),
    ])
}

fn programs() -> Outcome<Section> {
    let folder = machine::programs()?;
    let rows = PROGRAMS.iter().map(|name| {
        let size = std::fs::metadata(folder.join(name))
            .map_err(|error| Failure::because(&format!("look at {name}"), &error))?
            .len();
        Ok(vec![
            (*name).to_owned(),
            mebibytes(size as f64 / 1_024.0),
            count(size as f64),
        ])
    });
    Ok(Section {
        title: "Sizes of the programs".to_owned(),
        about: "As built, with line tables.".to_owned(),
        columns: vec!["program", "size", "bytes"],
        rows: rows.collect::<Outcome<_>>()?,
    })
}
