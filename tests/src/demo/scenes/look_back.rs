//! The past: what happened, and how the fleet was.

use crate::demo::Arguments;
use crate::stage::{Failure, Outcome, Stage};

pub(super) async fn events(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let name = stage.members[1].name.clone();
    stage.skein("events --last 12").await?;
    let history = stage
        .skein(&format!("history managedcluster {name}"))
        .await?;
    for word in ["token:", "user:admin"] {
        if !history.contains(word) {
            return Err(Failure::new(format!(
                "the history of {name} does not tell of {word}"
            )));
        }
    }
    Ok(())
}

pub(super) async fn past(stage: &mut Stage, _: &Arguments) -> Outcome<()> {
    let name = stage.members[1].name.clone();
    let sequence = stage
        .before_change
        .ok_or_else(|| Failure::new("the sequence before the change is not known"))?;
    let then = stage
        .skein(&format!("replay --at {sequence} managedclusters"))
        .await?;
    if !then
        .lines()
        .any(|line| line.starts_with(&name) && line.contains(" default "))
    {
        return Err(Failure::new(format!(
            "{name} was in clusterset default then"
        )));
    }
    // `skein diff` tells by its exit code that there are differences, as diff does.
    let diff = stage
        .differences(&format!("diff --from {sequence} --kind managedclusters"))
        .await?;
    if !diff.contains("clusterset: eu") {
        return Err(Failure::new(
            "the move to clusterset eu is not among the differences",
        ));
    }
    Ok(())
}
