//! What must be there from the first record on.

use jiff::Timestamp;
use skein_schema::command::Change;
use skein_schema::envelope::Actor;
use skein_schema::event::{Applied, Event};
use skein_schema::name::HubName;
use skein_schema::object::ObjectKey;
use uuid::Uuid;

use crate::decide::{Context, Decision, HUB_MANAGER, Subject, always_there, complete};
use crate::world::World;

/// One decision for each object that must be there and is not.
pub(super) fn missing(world: &World, now: Timestamp) -> Vec<Decision> {
    let absent = always_there().into_iter().filter_map(|resource| {
        let key = ObjectKey::of(&resource).ok()?;
        world.get(&key).is_none().then_some((key, resource))
    });
    absent
        .map(|(key, mut resource)| {
            let actor = Actor::Hub(hub_name());
            // The uid follows from the key and the time, so that another ledger has other uids.
            let command = Uuid::from_u128(u128::from(now.as_millisecond().unsigned_abs()));
            let context = Context {
                now,
                actor: &actor,
                command,
            };
            complete(&mut resource, None, &key, &context);
            let event = Event::Applied(Box::new(Applied {
                resource: resource.clone(),
                manager: HUB_MANAGER.to_owned(),
            }));
            Decision {
                object: Some(resource),
                ..Decision::new(Subject::Object(key), Change::Created, vec![event])
            }
        })
        .collect()
}

fn hub_name() -> HubName {
    HubName::new("hub").expect("a label")
}
