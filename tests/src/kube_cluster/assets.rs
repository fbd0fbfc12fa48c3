//! Where the control plane's programs are.

use std::path::PathBuf;

/// The folder with the control plane's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets(PathBuf);

/// The programs of a control plane are not all there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {} in {folder} (`just kube-tools` builds them; KUBEBUILDER_ASSETS names another folder)", programs.join(", "))]
pub struct MissingAssets {
    /// Where they were looked for.
    pub folder: String,
    /// What is missing.
    pub programs: Vec<&'static str>,
}

const PROGRAMS: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
];

impl Assets {
    /// Finds the programs in the folder that `KUBEBUILDER_ASSETS` names, else in `.tools/kube` of the workspace.
    ///
    /// # Errors
    /// [`MissingAssets`] names what is not there.
    pub fn find() -> Result<Assets, MissingAssets> {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/kube");
        let folder = std::env::var_os("KUBEBUILDER_ASSETS")
            .map_or_else(|| PathBuf::from(own), PathBuf::from);
        let missing: Vec<&str> = PROGRAMS
            .iter()
            .copied()
            .filter(|name| !folder.join(name).is_file())
            .collect();
        if missing.is_empty() {
            Ok(Assets(folder))
        } else {
            Err(MissingAssets {
                folder: folder.display().to_string(),
                programs: missing,
            })
        }
    }

    /// The path of a program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
