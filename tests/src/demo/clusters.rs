//! Getting the clusters: simulated ones are started, real ones are taken from a kubeconfig.

use super::Arguments;
use crate::stage::{Failure, Member, Outcome, Stage};

/// How many clusters the demo has when it simulates them.
const SIMULATED: usize = 3;

/// Fills the stage's members.
pub(super) async fn gather(stage: &mut Stage, arguments: &Arguments) -> Outcome<()> {
    let (kubeconfig, contexts) = match &arguments.kubeconfig {
        Some(file) => (file.clone(), arguments.context.clone()),
        None => {
            let file = stage.path("kubeconfig");
            let path = file.display().to_string();
            let count = SIMULATED.to_string();
            stage.start(
                "sim",
                "skein-sim",
                &[
                    "--clusters",
                    &count,
                    "--port",
                    "0",
                    "--kubeconfig-out",
                    &path,
                ],
            )?;
            stage.file(&file).await?;
            println!("  {SIMULATED} simulated clusters serve the Kubernetes API over HTTP");
            (
                file,
                (1..=SIMULATED)
                    .map(|number| format!("sim-{number}"))
                    .collect(),
            )
        }
    };
    for (index, context) in contexts.into_iter().enumerate() {
        let name = format!("shop-{}", index + 1);
        println!("  {name} is context {context} of {}", kubeconfig.display());
        let member = Member::new(name, kubeconfig.clone(), context).await?;
        stage.members.push(member);
    }
    if stage.members.is_empty() {
        return Err(Failure::new("there is no cluster"));
    }
    Ok(())
}
