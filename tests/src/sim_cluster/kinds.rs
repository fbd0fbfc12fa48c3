//! The kinds an API server serves: the built-in ones, shared by all simulated clusters, and those that CRDs add.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::shape::Shape;

mod builtin;
pub(crate) mod types;

/// One served resource: a kind in one version of its group.
#[derive(Debug)]
pub(crate) struct ResourceType {
    /// API group; empty for the core group.
    pub(crate) group: Cow<'static, str>,
    /// Version within the group.
    pub(crate) version: Cow<'static, str>,
    /// Plural name, as in a URL.
    pub(crate) plural: Cow<'static, str>,
    /// Singular name.
    pub(crate) singular: Cow<'static, str>,
    /// Kind, as in an object.
    pub(crate) kind: Cow<'static, str>,
    /// Kind of a list of these.
    pub(crate) list_kind: Cow<'static, str>,
    /// Short names, as kubectl knows them.
    pub(crate) short_names: Vec<Cow<'static, str>>,
    /// Categories such as `all`.
    pub(crate) categories: Vec<Cow<'static, str>>,
    /// Whether objects live in a namespace.
    pub(crate) namespaced: bool,
    /// Whether `/status` is served, and status kept apart from the rest.
    pub(crate) status: bool,
    /// Whether `/scale` is advertised for the kind.
    pub(crate) scale: bool,
    /// Whether `metadata.generation` counts changes of the desired part.
    pub(crate) generation: bool,
    /// The structural type of objects.
    pub(crate) shape: Arc<Shape>,
    /// What a CRD adds to that: its schema.
    pub(crate) custom: Option<CustomType>,
    /// `plural.group`: the same for all versions of a kind.
    pub(crate) group_resource: Arc<str>,
}

/// The part of a kind that comes from its CustomResourceDefinition.
#[derive(Debug)]
pub(crate) struct CustomType {
    /// The `openAPIV3Schema` of this version.
    pub(crate) schema: serde_json::Value,
    /// The version objects are stored in.
    pub(crate) storage_version: String,
    /// The `additionalPrinterColumns` of this version.
    pub(crate) columns: Vec<serde_json::Value>,
}

impl ResourceType {
    /// `group/version`, or the version alone in the core group.
    pub(crate) fn api_version(&self) -> String {
        match self.group.as_ref() {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `Kind.group`, or the kind alone in the core group: how validation messages name it.
    pub(crate) fn group_kind(&self) -> String {
        match self.group.as_ref() {
            "" => self.kind.to_string(),
            group => format!("{}.{group}", self.kind),
        }
    }

    /// Whether this is the built-in kind `plural` of `group`.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// All built-in kinds, in the order discovery lists them.
pub(crate) static BUILTIN: LazyLock<Vec<Arc<ResourceType>>> = LazyLock::new(builtin::all);

/// The built-in kind of that name.
pub(crate) fn builtin(
    group: &str,
    version: &str,
    plural: &str,
) -> Option<&'static Arc<ResourceType>> {
    BUILTIN
        .iter()
        .find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
}

/// The kinds that one cluster serves.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    custom: BTreeMap<String, Vec<Arc<ResourceType>>>,
}

impl Catalog {
    /// Finds a served resource by its place in a URL.
    pub(crate) fn find(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<Arc<ResourceType>> {
        let custom = || {
            let versions = self.custom.get(&group_resource(group, plural))?;
            versions
                .iter()
                .find(|kind| kind.version == version)
                .cloned()
        };
        builtin(group, version, plural).cloned().or_else(custom)
    }

    /// Finds a served resource by the type an object names.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<Arc<ResourceType>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.all()
            .find(|served| {
                served.group == group && served.version == version && served.kind == kind
            })
            .cloned()
    }

    /// Finds any served version of `plural.group`.
    pub(crate) fn find_stored(&self, group_resource: &str) -> Option<Arc<ResourceType>> {
        let builtin = BUILTIN
            .iter()
            .find(|kind| kind.group_resource.as_ref() == group_resource);
        builtin
            .or_else(|| self.custom.get(group_resource)?.first())
            .cloned()
    }

    /// All served resources.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ResourceType>> {
        BUILTIN.iter().chain(self.custom.values().flatten())
    }

    /// Serves the versions of a CRD, or no version of it any more.
    pub(crate) fn set_custom(&mut self, group_resource: &str, versions: Vec<ResourceType>) {
        if versions.is_empty() {
            self.custom.remove(group_resource);
        } else {
            self.custom.insert(
                group_resource.to_owned(),
                versions.into_iter().map(Arc::new).collect(),
            );
        }
    }
}

/// `plural.group`, or the plural alone in the core group.
pub(crate) fn group_resource(group: &str, plural: &str) -> String {
    match group {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    }
}
