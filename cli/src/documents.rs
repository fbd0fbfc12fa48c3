//! Reading what users bring: files, folders and standard input, YAML or JSON, several documents in
//! one file, and Kubernetes Lists.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;
use skein_schema::code::Code;
use skein_schema::decode::{Problem, StrictValue, parse_json};

use crate::error::{CliError, CliResult};

/// Largest file that is read, in bytes: far above the largest command, so that a wrong file name
/// does not fill the memory.
const FILE_MAX: u64 = 64 << 20;

/// Most brackets that may be open at once. The YAML reader takes time with the square of their
/// number; its own limit of depth comes too late for that. Text that is not YAML counts too, so it
/// is far above what any text has.
const NESTING_MAX: usize = 10_000;

/// One object and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// The file, with the document's number where there are several, e.g. `fleet.yaml, document 2`.
    pub(crate) place: String,
    /// The object as written.
    pub(crate) value: Value,
}

/// Reads every `source`: a file, a folder (its `.yaml`, `.yml` and `.json` files, by name; with
/// `recursive` those below too), or `-` for standard input.
pub(crate) fn read(sources: &[String], recursive: bool) -> CliResult<Vec<Document>> {
    let mut documents = Vec::new();
    for source in sources {
        if source == "-" {
            let text = read_stream(std::io::stdin(), FILE_MAX)?;
            documents.extend(parse("standard input", &text)?);
            continue;
        }
        for file in files(Path::new(source), recursive)? {
            documents.extend(parse(&file.display().to_string(), &read_file(&file)?)?);
        }
    }
    if documents.is_empty() {
        return Err(CliError::new(
            Code::MalformedDocument,
            format!("no objects in {}", sources.join(", ")),
        ));
    }
    Ok(documents)
}

/// [`read`], or nothing where no source is named.
pub(crate) fn read_or_none(sources: &[String], recursive: bool) -> CliResult<Vec<Document>> {
    if sources.is_empty() {
        Ok(Vec::new())
    } else {
        read(sources, recursive)
    }
}

/// Reads standard input. Its size is not known before, and a part of it would look like the whole.
fn read_stream(stream: impl std::io::Read, most: u64) -> CliResult<String> {
    let mut bytes = Vec::new();
    let io = |error: std::io::Error| CliError::io("read standard input", &error);
    stream.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        return Err(CliError::new(
            Code::TooLarge,
            format!("standard input has more than {most} bytes, at most as many are read"),
        ));
    }
    String::from_utf8(bytes)
        .map_err(|error| io(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

fn read_file(file: &Path) -> CliResult<String> {
    let io = |error: std::io::Error| CliError::io(&format!("read {}", file.display()), &error);
    let size = std::fs::metadata(file).map_err(io)?.len();
    if size > FILE_MAX {
        return Err(CliError::new(
            Code::TooLarge,
            format!(
                "{} has {size} bytes, at most {FILE_MAX} are read",
                file.display()
            ),
        ));
    }
    std::fs::read_to_string(file).map_err(io)
}

fn files(path: &Path, recursive: bool) -> CliResult<Vec<PathBuf>> {
    let io = |path: &Path, error: std::io::Error| {
        CliError::io(&format!("read {}", path.display()), &error)
    };
    if !std::fs::metadata(path)
        .map_err(|error| io(path, error))?
        .is_dir()
    {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| io(path, error))? {
        entries.push(entry.map_err(|error| io(path, error))?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let extension = entry
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        if entry.is_dir() {
            if recursive {
                found.extend(files(&entry, recursive)?);
            }
        } else if matches!(extension, "yaml" | "yml" | "json") {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Reads all documents of `text`, which came from `place`. Lists are opened.
pub(crate) fn parse(place: &str, text: &str) -> CliResult<Vec<Document>> {
    let values = if text.trim_start().starts_with('{') {
        json_or_flow(place, text)?
    } else {
        yaml(place, text)?
    };
    let several = values.len() > 1;
    let mut documents = Vec::new();
    for (number, value) in values {
        let place = if several {
            format!("{place}, document {number}")
        } else {
            place.to_owned()
        };
        open_list(&place, value, &mut documents)?;
    }
    Ok(documents)
}

/// JSON, or YAML in flow style, which starts alike.
fn json_or_flow(place: &str, text: &str) -> CliResult<Vec<(usize, Value)>> {
    // The strict reader refuses an object that has one key twice; the second would win silently.
    match parse_json(text.as_bytes()) {
        Ok(value) => Ok(vec![(1, value)]),
        Err(error) if matches!(error.problem, Problem::Syntax { .. }) => {
            yaml(place, text).map_err(|_| malformed(place, "JSON", &error))
        }
        Err(error) => Err(malformed(place, "JSON", &error)),
    }
}

fn yaml(place: &str, text: &str) -> CliResult<Vec<(usize, Value)>> {
    if opens_too_much(text) {
        return Err(CliError::new(
            Code::MalformedDocument,
            format!("{place} opens more than {NESTING_MAX} brackets that it does not close"),
        ));
    }
    let mut values = Vec::new();
    for (index, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        let number = index + 1;
        let StrictValue(value) =
            StrictValue::deserialize(document).map_err(|error| malformed(place, "YAML", &error))?;
        if !value.is_null() {
            values.push((number, value));
        }
    }
    Ok(values)
}

fn opens_too_much(text: &str) -> bool {
    let mut open = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > NESTING_MAX
    })
}

fn malformed(place: &str, language: &str, error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new(
        Code::MalformedDocument,
        format!("{place} is not {language}"),
    )
    .because(error)
}

fn open_list(place: &str, value: Value, documents: &mut Vec<Document>) -> CliResult<()> {
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !value.is_object() {
        return Err(
            CliError::new(Code::MalformedDocument, format!("{place} is not an object"))
                .with_hint("a document has apiVersion, kind and metadata"),
        );
    }
    if !kind.ends_with("List") {
        documents.push(Document {
            place: place.to_owned(),
            value,
        });
        return Ok(());
    }
    let Some(Value::Array(items)) = value.get("items").cloned() else {
        return Err(CliError::new(
            Code::MalformedDocument,
            format!("{place}: a {kind} has a list of items"),
        ));
    };
    for (index, item) in items.into_iter().enumerate() {
        open_list(&format!("{place}, item {}", index + 1), item, documents)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(text: &str) -> Vec<String> {
        parse("f", text)
            .unwrap()
            .into_iter()
            .map(|d| d.place)
            .collect()
    }

    #[test]
    fn documents_are_numbered_where_there_are_several() {
        assert_eq!(places("kind: A\n"), ["f"]);
        assert_eq!(
            places("---\nkind: A\n---\n# empty\n---\nkind: B\n"),
            ["f, document 1", "f, document 3"]
        );
        assert_eq!(places(r#"{"kind": "A"}"#), ["f"]);
    }

    #[test]
    fn lists_are_opened() {
        let text = "kind: List\nitems:\n- kind: A\n- kind: B\n";
        assert_eq!(places(text), ["f, item 1", "f, item 2"]);
        assert_eq!(parse("f", text).unwrap()[1].value, json!({"kind": "B"}));
    }

    #[test]
    fn what_is_not_an_object_is_refused_with_its_place() {
        for (text, expected) in [
            ("kind: A\n---\n- a\n", "f, document 2 is not an object"),
            ("a: [", "f is not YAML"),
            ("{\"a\": 1, \"a\": 2}", "f is not JSON"),
            ("a: 1\na: 2\n", "f is not YAML"),
            ("kind: List\n", "f: a List has a list of items"),
            (&"[".repeat(200_000), "f opens more than 10000 brackets"),
            (&"[".repeat(5_000), "f is not YAML"),
        ] {
            let error = parse("f", text).unwrap_err();
            assert!(
                error.render().contains(expected),
                "{text:?}: {}",
                error.render()
            );
            assert_eq!(error.code(), Code::MalformedDocument);
        }
    }

    #[test]
    fn standard_input_is_read_whole_or_not_at_all() {
        assert_eq!(read_stream(&b"abcd"[..], 4).unwrap(), "abcd");
        let error = read_stream(&b"abcde"[..], 4).unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
        assert_eq!(
            read_stream(&b"\xff"[..], 4).unwrap_err().code(),
            Code::LocalFile
        );
    }

    #[test]
    fn a_folder_is_read_by_name_and_not_deeper_unless_asked() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.yaml", "kind: B"),
            ("a.json", "{\"kind\": \"A\"}"),
            ("c.txt", "kind: C"),
            ("d/e.yml", "kind: E"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let kinds = |recursive| -> Vec<Value> {
            let source = folder.path().display().to_string();
            read(&[source], recursive)
                .unwrap()
                .into_iter()
                .map(|d| d.value["kind"].clone())
                .collect()
        };
        assert_eq!(kinds(false), ["A", "B"]);
        assert_eq!(kinds(true), ["A", "B", "E"]);
    }
}
