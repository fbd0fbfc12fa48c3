//! Times as objects hold them, and uids that follow from what is known already.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use skein_schema::digest::Digest;
use skein_schema::object::ObjectKey;
use uuid::{Builder, Uuid};

/// A time as Kubernetes writes it: whole seconds. Cut here, so that an object is the same before
/// and after it was stored.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// [`whole_seconds`] in Kubernetes' type.
pub(crate) fn kubernetes_time(time: Timestamp) -> Time {
    Time(whole_seconds(time))
}

/// The uid of an object that this command makes: the same command makes the same uid, another
/// command another one.
pub(crate) fn uid_of(command: Uuid, key: &ObjectKey) -> Uuid {
    let digest = Digest::of(format!("skein uid\n{command}\n{key}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
