//! Read, change, write: how label, annotate, taint and clusterset change one object without
//! treading on others. The hub refuses the change if the object was touched in between; then it is
//! read again.

use serde_json::Value;
use skein_schema::code::Code;
use skein_schema::command::{Command, Precondition};
use skein_schema::object::ObjectKey;

use crate::ask;
use crate::client::{Client, Done};
use crate::error::CliResult;

/// How often a change is tried again on an object that others change too.
const TRIES: u32 = 10;

/// Who owns the fields that these commands set.
pub(crate) const MANAGER: &str = "skein-edit";

/// Changes `key` by the merge patch that `patch` makes out of the present object; `None` means that
/// nothing needs to change.
pub(crate) async fn change(
    client: &Client,
    key: &ObjectKey,
    dry_run: bool,
    patch: impl Fn(&Value) -> CliResult<Option<Value>>,
) -> CliResult<Option<Done>> {
    let mut tries = 0;
    loop {
        let object = ask::get(client, key, None).await?;
        let Some(patch) = patch(&object)? else {
            return Ok(None);
        };
        let command = Command::Patch {
            key: key.clone(),
            patch,
            manager: MANAGER.to_owned(),
            precondition: Precondition::ResourceVersion(ask::resource_version(&object)?),
            dry_run,
        };
        tries += 1;
        match client.command(command).await {
            Err(error) if error.code() == Code::Conflict && tries < TRIES => {}
            other => return other.map(Some),
        }
    }
}
