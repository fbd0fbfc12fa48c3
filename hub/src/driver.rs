//! The hub's one loop: select → apply → perform.
//!
//! [`machine`] decides what follows from an input and is synchronous; [`perform`] does it. Nothing
//! else touches the state that decisions rest on.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

pub mod effect;
pub mod input;
pub mod machine;
pub mod perform;
pub mod record;

use crate::intake::CommandRequest;
use crate::task::Stop;
use input::Input;
use machine::Machine;
use perform::Performer;

/// How often the witness is written to disk.
const FLUSH: Duration = Duration::from_secs(1);
/// How long records on their way are waited for at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What reaches the driver.
#[derive(Debug)]
pub struct Inbox {
    /// Commands. They wait outside while many records are on their way.
    pub commands: mpsc::Receiver<CommandRequest>,
    /// Everything else.
    pub facts: mpsc::Receiver<Input>,
}

/// Runs until told to stop, then until what is on its way has arrived. `fence` is a reason not to
/// decide anything.
///
/// # Errors
/// When an effect cannot be performed at all, e.g. the witness cannot be written.
pub async fn run(
    mut machine: Machine,
    mut performer: Performer,
    mut inbox: Inbox,
    fence: Option<String>,
    now: fn() -> Timestamp,
    stop: Stop,
) -> anyhow::Result<()> {
    let start = machine.start(fence.as_deref());
    let first = performer.perform(start).await?;
    settle(&mut machine, &mut performer, first, now).await?;
    let mut flush = tokio::time::interval(FLUSH);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let deadline = machine.next_deadline();
        let takes_commands = machine.takes_commands() && performer.has_room();
        let input = tokio::select! {
            biased;
            () = stop.wait() => break,
            input = performer.next() => input,
            fact = inbox.facts.recv() => match fact {
                Some(fact) => fact,
                None => break,
            },
            Some(command) = inbox.commands.recv(), if takes_commands => Input::Command(Box::new(command)),
            () = until(deadline, now) => Input::Tick,
            _ = flush.tick() => {
                performer.flush()?;
                continue;
            }
        };
        settle(&mut machine, &mut performer, vec![input], now).await?;
    }
    let drained = async {
        while machine.in_flight() > 0 {
            let input = performer.next().await;
            settle(&mut machine, &mut performer, vec![input], now).await?;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(DRAIN, drained).await {
        Ok(drained) => drained?,
        Err(_) => tracing::warn!(
            "some records were on their way at the end; their commands are decided again"
        ),
    }
    performer.flush()
}

/// Applies inputs, and those that performing their effects brings.
async fn settle(
    machine: &mut Machine,
    performer: &mut Performer,
    inputs: Vec<Input>,
    now: fn() -> Timestamp,
) -> anyhow::Result<()> {
    let mut inputs = VecDeque::from(inputs);
    while let Some(input) = inputs.pop_front() {
        let effects = machine.apply(input, now());
        inputs.extend(performer.perform(effects).await?);
    }
    performer.observe(machine.in_flight());
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one timer of the select loop"
)]
async fn until(deadline: Option<Timestamp>, now: fn() -> Timestamp) {
    let Some(deadline) = deadline else {
        return pending().await;
    };
    let wait = deadline.duration_since(now());
    // A deadline that has passed is due at once, though never twice in the same millisecond.
    let wait = Duration::try_from(wait)
        .unwrap_or_default()
        .max(Duration::from_millis(1));
    tokio::time::sleep(wait).await;
}
