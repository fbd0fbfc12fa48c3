//! Older event versions, lifted to the newest before they are decoded.

use serde_json::{Map, Value};

/// Lifts `data` of event type `kind` as far as this build knows. A type without an upcaster comes
/// back as it is, known or not.
#[must_use]
pub fn to_newest(kind: &str, data: Value) -> (&str, Value) {
    match kind {
        "skein.cluster.joinrequested.v1" => {
            ("skein.cluster.joinrequested.v2", join_requested_v1(data))
        }
        other => (other, data),
    }
}

/// Version 1 had one key, the NATS one, as a text beside the name. Version 2 groups the agent's
/// keys, since sealed secrets and tunnels brought two more.
fn join_requested_v1(data: Value) -> Value {
    let Value::Object(mut data) = data else {
        return data;
    };
    if let Some(nkey) = data.remove("nkey") {
        data.insert(
            "keys".to_owned(),
            Value::Object(Map::from_iter([("nkey".to_owned(), nkey)])),
        );
    }
    Value::Object(data)
}
