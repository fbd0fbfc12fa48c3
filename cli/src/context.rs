//! Contexts: where a hub is and who we are there, kept in `~/.config/skein/config.yaml`
//! (`SKEIN_CONFIG` or `--config` name another file), in the manner of a kubeconfig.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skein_schema::code::Code;
use skein_schema::name::{UserName, Workspace};

use crate::error::{CliError, CliResult};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current_context: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// One hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Context {
    /// Where its bus is, most wanted first.
    pub(crate) servers: Vec<String>,
    /// Who we are there.
    pub(crate) user: UserName,
    /// File with our NATS credentials (JWT and seed).
    pub(crate) credentials: PathBuf,
    /// PEM file of the authority that signed the servers' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// The workspace that commands use when `-n` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workspace: Option<Workspace>,
}

/// The file that `flag`, the environment or the home folder name.
pub(crate) fn path(flag: Option<&Path>) -> CliResult<PathBuf> {
    if let Some(path) = flag {
        return Ok(path.to_owned());
    }
    let home = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    home("XDG_CONFIG_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".config")))
        .map(|base| base.join("skein/config.yaml"))
        .ok_or_else(|| {
            CliError::new(Code::LocalFile, "cannot tell where the configuration is")
                .with_hint("set HOME, SKEIN_CONFIG or --config")
        })
}

impl Config {
    /// Reads the file; a missing one is an empty configuration.
    pub(crate) fn load(path: &Path) -> CliResult<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(CliError::io(&format!("read {}", path.display()), &error)),
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml_ng::from_str(&text).map_err(|error| {
            CliError::new(
                Code::MalformedDocument,
                format!("{} is not a configuration", path.display()),
            )
            .because(&error)
            .with_hint("mend the file or remove it; `skein context set` writes a new one")
        })
    }

    /// Writes the file whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> CliResult<()> {
        let text = serde_yaml_ng::to_string(self).map_err(|error| {
            CliError::new(Code::Internal, "cannot write the configuration").because(&error)
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || {
            std::fs::create_dir_all(folder)?;
            let draft = path.with_extension(format!("{}.tmp", std::process::id()));
            std::fs::write(&draft, text)?;
            std::fs::rename(&draft, path)
        };
        write().map_err(|error| CliError::io(&format!("write {}", path.display()), &error))
    }

    /// The context called `name`, or the current one.
    pub(crate) fn context(&self, name: Option<&str>) -> CliResult<(&str, &Context)> {
        let Some(name) = name.or(self.current_context.as_deref()) else {
            return Err(
                CliError::new(Code::InvalidArgument, "no context is chosen").with_hint(
                    "start a hub with `skein up`, or choose one with `skein context use NAME`",
                ),
            );
        };
        self.contexts
            .get_key_value(name)
            .map(|(name, context)| (name.as_str(), context))
            .ok_or_else(|| {
                let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
                let hint = match known[..] {
                    [] => "there is none yet: start a hub with `skein up`".to_owned(),
                    _ => format!("there are: {}", known.join(", ")),
                };
                CliError::new(
                    Code::InvalidArgument,
                    format!("there is no context {name:?}"),
                )
                .with_hint(hint)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Config {
        let context = Context {
            servers: vec!["nats://127.0.0.1:4222".into()],
            user: UserName::new("admin").unwrap(),
            credentials: "/tmp/admin.creds".into(),
            certificate_authority: None,
            workspace: None,
        };
        Config {
            current_context: Some("local".into()),
            contexts: BTreeMap::from([("local".into(), context)]),
        }
    }

    #[test]
    fn a_saved_configuration_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/config.yaml");
        assert_eq!(Config::load(&path).unwrap(), Config::default());
        sample().save(&path).unwrap();
        assert_eq!(Config::load(&path).unwrap(), sample());
    }

    #[test]
    fn an_unknown_context_names_the_known_ones() {
        let error = sample().context(Some("prod")).unwrap_err();
        assert!(
            error.render().contains("there are: local"),
            "{}",
            error.render()
        );
        assert_eq!(sample().context(None).unwrap().0, "local");
    }

    #[test]
    fn an_unknown_field_is_not_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, "currentContexts: x\n").unwrap();
        assert_eq!(
            Config::load(&path).unwrap_err().code(),
            Code::MalformedDocument
        );
    }
}
