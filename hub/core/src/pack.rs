//! Large manifests stand in the ledger by their digest; their bytes are stored once.

use skein_schema::digest::{Digest, canonical_json};
use skein_schema::kind::manifest::{ContentRef, MAX_INLINE_BYTES, Manifest};
use skein_schema::kind::manifest_work::ManifestWorkSpec;

/// Replaces each manifest of more than [`MAX_INLINE_BYTES`] by a reference; returns what it stood
/// for, each content once.
pub(crate) fn pack(spec: &mut ManifestWorkSpec) -> Vec<(Digest, Vec<u8>)> {
    let mut contents: Vec<(Digest, Vec<u8>)> = Vec::new();
    for manifest in &mut spec.workload.manifests {
        let size = manifest.size();
        let Some(object) = manifest.inline() else {
            continue;
        };
        if size <= MAX_INLINE_BYTES as u64 {
            continue;
        }
        let bytes = canonical_json(&serde_json::Value::Object(object.clone()));
        let digest = Digest::of(&bytes);
        let identity = manifest.identity();
        *manifest = Manifest::Content(ContentRef {
            digest: digest.to_string(),
            size: bytes.len() as u64,
            api_version: identity.api_version,
            kind: identity.kind,
            namespace: identity.namespace,
            name: identity.name,
        });
        if contents.iter().all(|(known, _)| *known != digest) {
            contents.push((digest, bytes));
        }
    }
    contents
}
