//! `skein token`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use skein_nats::nkey::{Key, KeyKind};
use skein_schema::code::Code;
use skein_schema::command::{Change, Command, TokenGrant};
use skein_schema::join::JoinToken;
use skein_schema::name::{ClusterName, SetName, TokenName};
use skein_schema::query::{Answer, Query, TokenView};

use crate::cli::Global;
use crate::client::{authority, unexpected};
use crate::error::{CliError, CliResult};
use crate::output::{Format, note, pretty_json, print, table::Table, to_value, yaml};
use crate::{app, moment, private};

/// Mint, list and revoke join tokens
///
/// A join token lets a cluster ask to join. It is a secret: hand it over as one. Its secret half is
/// made here and is known to nobody else, not even the hub.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein token create > token\n  skein token create --cluster shop-1 --clusterset eu --auto-accept --expires 1h --output-file shop-1.token\n  skein token list\n  skein token revoke shops"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Mint a join token and print it
    Create(Box<Create>),
    /// List the tokens (never their secrets)
    #[command(visible_alias = "ls")]
    List {
        /// table, json or yaml
        #[arg(short, long, default_value = "table", value_name = "FORMAT")]
        output: Format,
    },
    /// Make tokens useless; clusters that joined by them stay
    Revoke {
        /// Their names
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<TokenName>,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its public name [default: a random one]
    #[arg(long)]
    name: Option<TokenName>,
    /// When it ends, from now
    #[arg(long, default_value = "24h", value_parser = moment::parse_duration, value_name = "DURATION")]
    expires: SignedDuration,
    /// How many clusters may join by it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), value_name = "COUNT")]
    uses: u32,
    /// The only cluster that may join by it
    #[arg(long)]
    cluster: Option<ClusterName>,
    /// The clusterset that joiners go to [default: default]
    #[arg(long, value_name = "SET")]
    clusterset: Option<SetName>,
    /// Labels that joiners get, over their own
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Let joiners in without a second person
    #[arg(long)]
    auto_accept: bool,
    /// Where agents find the bus [default: the context's servers]
    #[arg(long = "server", value_name = "URL")]
    servers: Vec<String>,
    /// Write the token to this file, readable by you alone, instead of printing it
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        match self.command {
            TokenCommand::Create(create) => create.run(global).await?,
            TokenCommand::List { output } => list(global, &output).await?,
            TokenCommand::Revoke { tokens } => {
                let client = global.connect().await?;
                for token in tokens {
                    let done = client
                        .command(Command::RevokeToken {
                            token: token.clone(),
                        })
                        .await?;
                    let word = if done.change == Change::Unchanged {
                        "was revoked before"
                    } else {
                        "revoked"
                    };
                    print(&format!("token/{token} {word}\n"))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, global: &Global) -> CliResult<()> {
        let context = global.chosen()?;
        let name = match self.name {
            Some(name) => name,
            None => random_name()?,
        };
        // The bus counts the life of a credential in whole seconds.
        let expires_at = app::now()
            .checked_add(self.expires)
            .and_then(|end| Timestamp::from_second(end.as_second()))
            .map_err(|error| {
                CliError::argument("--expires lies beyond the end of time").because(&error)
            })?;
        let key = Key::generate(KeyKind::User);
        let grant = TokenGrant {
            token: name.clone(),
            public_key: key.public().to_owned(),
            expires_at,
            uses: self.uses,
            cluster: self.cluster,
            clusterset: self.clusterset,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            auto_accept: self.auto_accept,
        };
        let done = global
            .connect()
            .await?
            .command(Command::CreateToken(grant))
            .await?;
        let jwt = done.credential.ok_or_else(|| {
            CliError::new(
                Code::Internal,
                "the hub recorded the token but sent no credential",
            )
        })?;
        let token = JoinToken {
            token: name.clone(),
            urls: if self.servers.is_empty() {
                context.servers.clone()
            } else {
                self.servers
            },
            jwt,
            seed: key.seed().to_owned(),
            certificate_authority: authority(&context)?,
        };
        let line = format!("{}\n", token.encode());
        match &self.output_file {
            Some(path) => {
                private::write(path, &line).map_err(|error| {
                    error.with_hint(
                        "the token exists: revoke it with `skein token revoke`, or mint another",
                    )
                })?;
                note(&format!(
                    "token/{name} created, valid until {expires_at}, written to {}",
                    path.display()
                ));
            }
            None => {
                print(&line)?;
                note(&format!(
                    "token/{name} created, valid until {expires_at}; give it to the cluster's owner as a secret"
                ));
            }
        }
        note("on the cluster: skein join --token-file FILE --cluster-name NAME");
        Ok(())
    }
}

fn random_name() -> CliResult<TokenName> {
    let id = app::new_id().simple().to_string();
    TokenName::new(format!("token-{}", &id[id.len() - 10..]))
        .map_err(|error| CliError::argument(error.to_string()))
}

async fn list(global: &Global, output: &Format) -> CliResult<()> {
    let mut views: Vec<TokenView> = Vec::new();
    for answer in global
        .connect()
        .await?
        .query(&Query::Tokens)
        .await?
        .collect()
        .await?
    {
        match answer {
            Answer::Token(view) => views.push(*view),
            other => return Err(unexpected(&other)),
        }
    }
    match output {
        Format::Json => print(&pretty_json(&to_value(&views)?)?),
        Format::Yaml => print(&yaml(&to_value(&views)?)?),
        Format::Name => views
            .iter()
            .try_for_each(|view| print(&format!("token/{}\n", view.grant.token))),
        Format::JsonPath(_) => Err(CliError::argument(
            "tokens are printed as table, json, yaml or name",
        )),
        Format::Table | Format::Wide if views.is_empty() => {
            note("There are no tokens: `skein token create` mints one.");
            Ok(())
        }
        Format::Table | Format::Wide => {
            let now = app::now();
            let mut table = Table::new(&[
                "NAME",
                "STATE",
                "USED",
                "CLUSTER",
                "CLUSTERSET",
                "ACCEPT",
                "EXPIRES",
                "BY",
                "AGE",
            ]);
            for view in &views {
                let grant = &view.grant;
                table.row(vec![
                    grant.token.to_string(),
                    state(view, now).to_owned(),
                    format!("{}/{}", view.used, grant.uses),
                    grant
                        .cluster
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    grant
                        .clusterset
                        .as_ref()
                        .map_or("default".to_owned(), ToString::to_string),
                    if grant.auto_accept {
                        "automatic"
                    } else {
                        "by a person"
                    }
                    .to_owned(),
                    moment::utc(grant.expires_at),
                    view.created_by.to_string(),
                    moment::age(view.created_at, now),
                ]);
            }
            print(&table.render(true))
        }
    }
}

fn state(view: &TokenView, now: Timestamp) -> &'static str {
    if view.revoked {
        "revoked"
    } else if view.grant.expires_at <= now {
        "expired"
    } else if view.used >= view.grant.uses {
        "used up"
    } else {
        "valid"
    }
}
