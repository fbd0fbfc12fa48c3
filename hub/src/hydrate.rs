//! Puts manifests that are stored by digest back into the objects that name them.

use serde_json::Value;
use skein_nats::content::{ContentError, ContentStore};
use skein_schema::kind::manifest::CONTENT_KEY;

/// Reads contents and puts them in place.
#[derive(Debug, Clone)]
pub struct Hydrator {
    contents: ContentStore,
}

impl Hydrator {
    /// A hydrator that reads from `contents`.
    #[must_use]
    pub fn new(contents: ContentStore) -> Self {
        Self { contents }
    }

    /// Replaces every manifest that only names its content. One whose content is not stored any
    /// more (it belongs to a past that is not kept) stays a name.
    ///
    /// # Errors
    /// When a content cannot be read, or is not what its digest says.
    pub async fn hydrate(&self, mut object: Value) -> Result<Value, ContentError> {
        let Some(manifests) = object
            .pointer_mut("/spec/workload/manifests")
            .and_then(Value::as_array_mut)
        else {
            return Ok(object);
        };
        for manifest in manifests {
            let digest = manifest
                .get(CONTENT_KEY)
                .and_then(|content| content.get("digest"));
            let Some(digest) = digest
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok())
            else {
                continue;
            };
            if let Some(bytes) = self.contents.get(&digest).await? {
                match serde_json::from_slice(&bytes) {
                    Ok(stored) => *manifest = stored,
                    // Its digest is right, so it was stored like this.
                    Err(error) => tracing::error!(%digest, %error, "a stored content is not JSON"),
                }
            }
        }
        Ok(object)
    }
}
