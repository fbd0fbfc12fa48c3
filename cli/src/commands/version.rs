//! `skein version`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use skein_schema::envelope::SCHEMA_VERSION;
use skein_schema::query::Health;

use super::doctor;
use crate::cli::Global;
use crate::error::{CliError, CliResult};
use crate::output::{Format, note, pretty_json, print, yaml};

/// Print the versions of this program, the hub and the bus
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Do not ask the hub
    #[arg(long)]
    client: bool,
    /// table, json or yaml
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    output: Format,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        let mut versions = json!({"client": env!("CARGO_PKG_VERSION"), "schema": SCHEMA_VERSION});
        if !self.client {
            match hub(global).await {
                Ok(health) => {
                    versions["hub"] = health.version.into();
                    versions["server"] = health.server_version.into();
                }
                // The program's own version is known in any case.
                Err(error) => note(error.render().trim_end()),
            }
        }
        match self.output {
            Format::Json => print(&pretty_json(&versions)?)?,
            Format::Yaml => print(&yaml(&versions)?)?,
            Format::Table => {
                for (part, name) in [
                    ("client", "Client"),
                    ("hub", "Hub"),
                    ("server", "NATS server"),
                ] {
                    if let Some(version) = versions[part].as_str() {
                        print(&format!("{name}: {version}\n"))?;
                    }
                }
            }
            Format::Wide | Format::Name | Format::JsonPath(_) => {
                return Err(CliError::argument(
                    "versions are printed as table, json or yaml",
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn hub(global: &Global) -> CliResult<Health> {
    doctor::health(&global.connect().await?).await
}
