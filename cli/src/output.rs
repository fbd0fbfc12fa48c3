//! How objects are printed: `-o table|wide|json|yaml|name|jsonpath=…`.

use std::io::Write as _;
use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use skein_schema::code::Code;
use skein_schema::resource::KindName;

use crate::ask;
use crate::error::{CliError, CliResult};

pub(crate) mod columns;
pub(crate) mod jsonpath;
pub(crate) mod table;

use jsonpath::Template;
use table::Table;

/// The output options of commands that print objects.
#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// How to print: table, wide, json, yaml, name, or jsonpath=TEMPLATE
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Leave out the table's heading
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// Show who owns which field (in json and yaml)
    #[arg(long)]
    pub(crate) show_managed_fields: bool,
    /// Add a column with all labels
    #[arg(long)]
    pub(crate) show_labels: bool,
}

/// A form of output.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
    JsonPath(Template),
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            "name" => Ok(Self::Name),
            _ => match text.strip_prefix("jsonpath=") {
                Some(template) => Template::parse(template).map(Self::JsonPath),
                None => {
                    Err("allowed are table, wide, json, yaml, name, jsonpath=TEMPLATE".to_owned())
                }
            },
        }
    }
}

impl OutputArguments {
    /// Whether all objects, of whatever kinds, are printed as one document.
    pub(crate) fn is_document(&self) -> bool {
        matches!(
            self.output,
            Format::Json | Format::Yaml | Format::JsonPath(_)
        )
    }

    /// Prints objects as one document: a List, or with `one` the object alone, which was asked for
    /// by name.
    pub(crate) fn print_document(&self, mut objects: Vec<Value>, one: bool) -> CliResult<()> {
        if !matches!(self.output, Format::JsonPath(_)) {
            objects.iter_mut().for_each(|object| self.trim(object));
        }
        let whole = if one && objects.len() == 1 {
            objects.remove(0)
        } else {
            list(objects)
        };
        match &self.output {
            Format::JsonPath(template) => {
                print(&template.render(&whole).map_err(CliError::argument)?)
            }
            _ => self.print_value(&whole),
        }
    }

    /// Prints objects of one kind, a line each, where they are not one document.
    pub(crate) fn print_lines(
        &self,
        kind: KindName,
        objects: &[Value],
        namespaces: bool,
        now: Timestamp,
    ) -> CliResult<()> {
        if matches!(self.output, Format::Name) {
            return objects
                .iter()
                .try_for_each(|object| print(&name_line(kind, object)));
        }
        let mut table = self.table(kind, namespaces);
        for object in objects {
            table.row(self.cells(kind, object, namespaces, now));
        }
        print(&table.render(!self.no_headers))
    }

    /// Prints one object of a stream of changes.
    pub(crate) fn print_changed(
        &self,
        kind: KindName,
        mut object: Value,
        namespaces: bool,
        now: Timestamp,
    ) -> CliResult<()> {
        match &self.output {
            Format::Table | Format::Wide => {
                let mut table = self.table(kind, namespaces);
                table.row(self.cells(kind, &object, namespaces, now));
                print(&table.render(false))
            }
            Format::Name => print(&name_line(kind, &object)),
            Format::JsonPath(template) => print(&format!(
                "{}\n",
                template.render(&object).map_err(CliError::argument)?
            )),
            Format::Json | Format::Yaml => {
                self.trim(&mut object);
                if matches!(self.output, Format::Yaml) {
                    print("---\n")?;
                }
                self.print_value(&object)
            }
        }
    }

    /// Prints any value as json or yaml.
    pub(crate) fn print_value(&self, value: &Value) -> CliResult<()> {
        match self.output {
            Format::Yaml => print(&yaml(value)?),
            _ => print(&pretty_json(value)?),
        }
    }

    /// Prints only the heading, for a stream of changes that starts empty.
    pub(crate) fn print_heading(&self, kind: KindName, namespaces: bool) -> CliResult<()> {
        if self.no_headers || !self.is_table() {
            return Ok(());
        }
        print(&self.table(kind, namespaces).render(true))
    }

    /// Whether this is for eyes.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.output, Format::Table | Format::Wide)
    }

    fn table(&self, kind: KindName, namespaces: bool) -> Table {
        let mut headings: Vec<&str> = Vec::new();
        if namespaces && kind.info().namespaced() {
            headings.push("NAMESPACE");
        }
        headings.extend(columns::headings(kind, matches!(self.output, Format::Wide)));
        if self.show_labels {
            headings.push("LABELS");
        }
        Table::new(&headings)
    }

    fn cells(
        &self,
        kind: KindName,
        object: &Value,
        namespaces: bool,
        now: Timestamp,
    ) -> Vec<String> {
        let mut cells = Vec::new();
        if namespaces && kind.info().namespaced() {
            cells.push(
                ask::text(object, &["metadata", "namespace"])
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        cells.extend(columns::cells(
            kind,
            object,
            matches!(self.output, Format::Wide),
            now,
        ));
        if self.show_labels {
            cells.push(columns::labels(object));
        }
        cells
    }

    fn trim(&self, object: &mut Value) {
        if !self.show_managed_fields
            && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("managedFields");
        }
    }
}

fn list(items: Vec<Value>) -> Value {
    let items = Value::Array(items);
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

fn name_line(kind: KindName, object: &Value) -> String {
    let name = ask::text(object, &["metadata", "name"]).unwrap_or_default();
    format!("{}/{name}\n", qualified(kind))
}

/// `managedcluster.cluster.open-cluster-management.io`, or `namespace` in the core group.
pub(crate) fn qualified(kind: KindName) -> String {
    let info = kind.info();
    if info.group.is_empty() {
        info.singular.to_owned()
    } else {
        format!("{}.{}", info.singular, info.group)
    }
}

/// YAML text of a value.
pub(crate) fn yaml(value: &Value) -> CliResult<String> {
    serde_yaml_ng::to_string(value)
        .map_err(|error| CliError::new(Code::Internal, "cannot write YAML").because(&error))
}

/// Indented JSON text of a value.
pub(crate) fn pretty_json(value: &Value) -> CliResult<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::new(Code::Internal, "cannot write JSON").because(&error))?;
    text.push('\n');
    Ok(text)
}

/// Any message as a JSON value.
pub(crate) fn to_value(message: &impl serde::Serialize) -> CliResult<Value> {
    serde_json::to_value(message)
        .map_err(|error| CliError::new(Code::Internal, "cannot write JSON").because(&error))
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> CliResult<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| CliError::io("write to standard output", &error))
}

/// Writes a line for people to standard error, which never mixes with data.
pub(crate) fn note(line: &str) {
    // Nothing is left to tell if standard error itself is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}
