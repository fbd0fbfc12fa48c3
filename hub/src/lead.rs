//! The lease that decides which hub tries to lead. Safety does not rest on it: a hub that believes
//! wrongly that it leads has its first append refused.

use std::time::Duration;

use skein_nats::lease::{Claim, Lease};
use tokio::sync::mpsc;

use crate::driver::input::Input;
use crate::task::Stop;

/// Asks the lease's task to give it up.
pub type Resign = mpsc::Receiver<()>;

/// Tries to get the lease, renews it while held, and gives it up when asked or at the end.
///
/// # Errors
/// Never: a bus that cannot be reached is a lease that is not held.
pub async fn run(
    mut lease: Lease,
    every: Duration,
    inputs: mpsc::Sender<Input>,
    mut resign: Resign,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut held = false;
    let mut resigned = false;
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.wait() => break,
            asked = resign.recv() => match asked {
                // Fenced: not tried again before a restart.
                Some(()) => resigned = true,
                None => break,
            },
            _ = tick.tick() => {}
        }
        let now_held = !resigned && claim(&mut lease, held).await;
        if resigned && held {
            release(&mut lease).await;
        }
        if now_held != held {
            held = now_held;
            let input = if held {
                Input::LeaseHeld
            } else {
                Input::LeaseLost
            };
            if inputs.send(input).await.is_err() {
                break;
            }
        }
    }
    if held {
        release(&mut lease).await;
    }
    Ok(())
}

async fn claim(lease: &mut Lease, held: bool) -> bool {
    match lease.claim().await {
        Ok(Claim::Held { token }) => {
            if !held {
                tracing::info!(token, "this hub holds the lease");
            }
            true
        }
        Ok(Claim::HeldBy { holder }) => {
            if held {
                tracing::warn!(holder, "another hub holds the lease");
            }
            false
        }
        Err(error) => {
            tracing::warn!(error = %crate::report(&error), "the lease could not be claimed");
            false
        }
    }
}

async fn release(lease: &mut Lease) {
    if let Err(error) = lease.release().await {
        tracing::warn!(error = %crate::report(&error), "the lease could not be given up, it will run out");
    }
}
