//! The steps, in order. Each types commands and checks what came of them.

mod join;
mod look_back;
mod works;

use std::future::Future;
use std::pin::Pin;

use super::Arguments;
use crate::stage::{Outcome, Stage};

type Play =
    for<'a> fn(&'a mut Stage, &'a Arguments) -> Pin<Box<dyn Future<Output = Outcome<()>> + 'a>>;

/// A step of the demo.
pub(super) struct Scene {
    pub(super) name: &'static str,
    play: Play,
}

impl Scene {
    pub(super) async fn play(&self, stage: &mut Stage, arguments: &Arguments) -> Outcome<()> {
        (self.play)(stage, arguments).await
    }
}

macro_rules! scenes {
    ($($name:literal => $play:path,)*) => {
        /// All steps.
        pub(super) const ALL: &[Scene] =
            &[$(Scene { name: $name, play: |stage, arguments| Box::pin($play(stage, arguments)) },)*];
    };
}

scenes! {
    "start the clusters" => join::clusters,
    "start the control plane" => join::control_plane,
    "let the clusters join" => join::join,
    "accept them and see them become available" => join::accept,
    "apply Open Cluster Management's YAML" => works::apply,
    "break something on a cluster and see it healed" => works::break_and_heal,
    "move a cluster to another set" => works::move_set,
    "cut a cluster off, and see it return and catch up" => works::cut_off,
    "list what happened" => look_back::events,
    "show the fleet as it was before the change" => look_back::past,
    "take a work away again" => works::remove,
}
