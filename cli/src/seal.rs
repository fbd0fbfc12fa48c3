//! Sealing the Secrets inside works before they leave this machine, so that bus and ledger only
//! ever hold ciphertext.

use data_encoding::BASE64;
use serde_json::Value;
use skein_schema::code::Code;
use skein_schema::digest::Digest;
use skein_schema::name::{ClusterName, Workspace};
use skein_schema::query::{Answer, Query};
use skein_schema::seal;

use crate::client::{Client, unexpected};
use crate::context::Context;
use crate::documents::Document;
use crate::error::{CliError, CliResult};

/// Seals every open Secret of `document`, if it is a work, to the key of the cluster that the work
/// is for. `workspace` is the one for documents that name none.
pub(crate) async fn seal(
    client: &Client,
    context: &Context,
    workspace: &Workspace,
    document: &mut Document,
) -> CliResult<()> {
    let is_work = document.value.get("kind").and_then(Value::as_str) == Some("ManifestWork");
    let manifests = document
        .value
        .pointer("/spec/workload/manifests")
        .and_then(Value::as_array);
    let is_open = |manifest: &Value| manifest.as_object().is_some_and(seal::is_open_secret);
    if !is_work || !manifests.is_some_and(|all| all.iter().any(is_open)) {
        return Ok(());
    }
    let named = document
        .value
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or(workspace.as_str());
    let cluster = ClusterName::new(named).map_err(|error| {
        CliError::new(
            Code::InvalidName,
            format!("{}: namespace {named:?}", document.place),
        )
        .because(&error)
    })?;
    let key = sealing_key(client, &cluster)
        .await
        .map_err(|error| error.at(&document.place))?;
    let seed = seed(context)?;
    let manifests = document
        .value
        .pointer_mut("/spec/workload/manifests")
        .and_then(Value::as_array_mut);
    for (index, manifest) in manifests.into_iter().flatten().enumerate() {
        if let Some(object) = manifest
            .as_object_mut()
            .filter(|object| seal::is_open_secret(object))
        {
            *object = seal::seal(object, &key, &seed).map_err(|error| {
                CliError::new(
                    Code::NotSealed,
                    format!(
                        "{}: cannot seal spec.workload.manifests[{index}]",
                        document.place
                    ),
                )
                .because(&error)
                .with_hint("write each object of a List as a manifest of its own")
            })?;
        }
    }
    Ok(())
}

async fn sealing_key(client: &Client, cluster: &ClusterName) -> CliResult<seal::PublicKey> {
    let query = Query::SealingKey {
        cluster: cluster.clone(),
    };
    let text = match client.query(&query).await?.next().await? {
        Some(Answer::SealingKey { public_key }) => public_key,
        Some(other) => return Err(unexpected(&other)),
        None => String::new(),
    };
    let bytes: Option<[u8; 32]> = BASE64
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map(seal::PublicKey::from).ok_or_else(|| {
        CliError::new(
            Code::NotSealed,
            format!("cluster {cluster} has no key to seal secrets to"),
        )
        .with_hint("a cluster makes its key when it joins; apply works with Secrets after that")
    })
}

/// The seed that makes sealing repeatable: the same user seals the same Secret to the same bytes,
/// so that applying a file again changes nothing. Nobody without the user's own seed can guess it.
fn seed(context: &Context) -> CliResult<[u8; 32]> {
    let path = &context.credentials;
    let credentials = std::fs::read(path)
        .map_err(|error| CliError::io(&format!("read {}", path.display()), &error))?;
    let mut bytes = b"skein-seal/1\n".to_vec();
    bytes.extend(credentials);
    Ok(*Digest::of(&bytes).as_bytes())
}
